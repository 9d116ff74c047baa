"""The stock TVM-FFI: a module of functions that take inputs, attributes and memory for the outputs by position."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from opwright.host import Call, Host, Opened, Refused, attribute, dtype_of, empty, groups, lacks, of, package_version
from opwright.host.python import to_torch, torch_lacks
from opwright.loader import dtype_number


class _Module(Opened):
    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        import tvm_ffi

        self.module = tvm_ffi.load_module(self.path)

    def cannot(self, call: Call) -> str | None:
        if "@" in call.op:
            return "it has the newest version of each operator"
        if call.tactic:
            return "it has no argument for a tactic; the variable `OPW_TACTIC` has"
        if any(attribute(self.op(call), name) is None for name in call.attributes):
            return "attributes have no names: they go by position"
        return torch_lacks(call)

    def call(self, call: Call) -> list[np.ndarray | None]:
        op = self.op(call)
        function = self.module[call.op.replace("::", "__")]
        memory = self._memory(call)
        outputs = groups(op.outputs, [None if m is None else to_torch(m) for m in memory])
        if call.in_place:
            shared = {o.name: [i.name for i in op.inputs].index(o.alias) for o in op.outputs if o.alias}
            for i, o in enumerate(op.outputs):
                if o.name in shared:
                    memory[i] = call.inputs[shared[o.name]]
                    outputs[i] = to_torch(memory[i])
        inputs = groups(op.inputs, [None if a is None else to_torch(a) for a in call.inputs])
        values = [call.attributes.get(a.name) for a in op.attributes]
        try:
            function(*inputs, *values, *outputs)
        except (TypeError, ValueError, RuntimeError, MemoryError) as e:
            raise Refused(str(e)) from e
        return self._counted(call, memory)

    def _memory(self, call: Call) -> list[Any]:
        """Memory for the outputs: that of the call, else as large as the library says or, where that depends on the data, as its bounds."""
        wanted = self.wanted(call)
        if all(w is False or isinstance(w, np.ndarray) for w in wanted):
            return [None if w is False else w for w in wanted]
        bounds = list(call.bounds) or [None] * len(wanted)
        try:
            inferred = self.infer(call)
        except Refused:  # a user would come with some memory, and it is for TVM-FFI to refuse the call
            inferred = [
                (dtype_of(dtype_number(of(self.op(call).outputs, i).dtypes[0])), (1,)) for i in range(len(wanted))
            ]
        memory: list[Any] = []
        for i, (given, bound, (dtype, shape)) in enumerate(zip(wanted, bounds, inferred, strict=True)):
            align = of(self.op(call).outputs, i).align
            made = None if given is False else empty(bound or shape, dtype, align)
            memory.append(given if isinstance(given, np.ndarray) else made)
        return memory

    def _counted(self, call: Call, memory: list[Any]) -> list[np.ndarray | None]:
        """The parts of the outputs that were written, where the call counts sizes."""
        op = self.op(call)
        counts = [int(m) for m, o in zip(memory, op.outputs, strict=False) if o.size]
        if not counts or not call.bounds:
            return memory
        found = []
        for array, bound, (_, shape) in zip(memory, call.bounds, self.infer(call), strict=True):
            exact = tuple(counts[0] if size < 0 else size for size in shape)
            found.append(array if bound is None else array.reshape(-1)[: int(np.prod(exact))].reshape(exact))
        return found


class TvmFfi(Host):
    """Tensors of torch, which has the element types that NumPy cannot hand on."""

    name, what = "TVM-FFI", "the stock `apache-tvm-ffi` wheel, on torch tensors"

    def missing(self) -> str | None:
        return lacks("tvm_ffi") or lacks("torch") or lacks("ml_dtypes")

    def version(self) -> str:
        return f"apache-tvm-ffi {package_version('apache-tvm-ffi')}"

    def open(self, path: str | os.PathLike[str]) -> Opened:
        return _Module(path)
