"""The YAML form of a kernel configuration: PluginGen's keys, and ours for what its files leave out.

    name: add_kernel
    kernel_file: kernels.py             # relative to the YAML file
    arguments:                          # in the order of the Triton kernel's parameters
      x: {dtype: "tensor[fp32]"}
      out: {dtype: "tensor[fp32]", arg_type: OUTPUT}
      n: {arg_type: DIM_SIZE, hints: ["", "16"]}
      BLOCK: {value: 1024}              # a Constexpr
    shape_infer_rules: ["x[n] -> out[n]", "x[n] : n -> n"]
    grid_dims: ["(n + 1023) / 1024", "1", "1"]

A file has one kernel, a list of kernels, or several documents. What PluginGen itself writes is read too, with the tags of
Python's types in it, which make no objects here.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from opwright.diagnostics import with_caret
from opwright.errors import InputError, MissingError, OpwrightError
from opwright.plugin_gen.core import (
    ArgType,
    Argument,
    Constexpr,
    DimSizeArg,
    InputArg,
    KernelMetaData,
    OutputArg,
    ParamArg,
    Type,
)

_KERNEL_KEYS = (
    "name", "kernel_file", "version", "arguments", "shape_infer_rules", "shape_deduce", "grid_dims", "num_warps", "num_stages",
)  # fmt: skip
_ARGUMENT_KEYS = ("dtype", "arg_type", "hints", "default", "name", "is_input", "offset")
_CLASSES: dict[str, Callable[..., Argument]] = {"INPUT": InputArg, "OUTPUT": OutputArg, "PARAM": ParamArg}
_PLAIN = (bool, int, float, str, type(None))
_QUOTE = "put texts that have ': ', '[' or '*' in them into quotes"


def import_yaml() -> ModuleType:
    """PyYAML, or an error that says how to get it."""
    try:
        import yaml
    except ImportError as e:
        raise MissingError(
            "a configuration in YAML needs the Python package 'yaml', which is not installed",
            hint="install it: pip install pyyaml",
        ) from e
    return yaml


def load_kernels(text: str, file: str) -> list[KernelMetaData]:
    """The kernels of a text. Errors have the line and column in `file`; what the fields say is checked later."""
    return _Reader(text, file).kernels()


class _Reader:
    """From nodes, which know their places, to kernels. No node becomes an object of a type that the text names."""

    def __init__(self, text: str, file: str) -> None:
        self.yaml = import_yaml()
        self.lines, self.file = text.split("\n"), file
        self.text = text

    def kernels(self) -> list[KernelMetaData]:
        try:
            self.loader = self.yaml.SafeLoader(self.text)
            nodes = []
            while self.loader.check_node():
                document = self.loader.get_node()
                nodes += document.value if isinstance(document, self.yaml.SequenceNode) else [document]
            kernels = [self.kernel(node) for node in nodes]
        except self.yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            text = " ".join(filter(None, (e.context, e.problem)))
            raise self.at(mark, InputError(f"this is no YAML: {text}", hint=_QUOTE)) from None
        except self.yaml.YAMLError as e:
            raise InputError(f"this is no YAML: {e}", where=self.file) from None
        except RecursionError:
            raise InputError("the YAML is nested too deeply", where=self.file) from None
        if not kernels:
            raise InputError("found no kernel", where=self.file, hint="a kernel is a mapping with name and arguments")
        return kernels

    # places

    def at(self, mark: Any, error: InputError) -> InputError:
        """The error with its place in the file, and the line unless it shows a text already."""
        error.where = self.place(mark)
        line = self.lines[mark.line] if mark.line < len(self.lines) else ""
        error.detail = error.detail or with_caret(line, len(line[: mark.column].encode()) + 1)
        return error

    def place(self, mark: Any) -> str:
        return f"{self.file}:{mark.line + 1}:{mark.column + 1}"

    def fail(self, node: Any, message: str, hint: str = "") -> InputError:
        return self.at(node.start_mark, InputError(message, hint=hint))

    def found(self, node: Any) -> str:
        """What a node is, for messages."""
        if isinstance(node, self.yaml.ScalarNode):
            return repr(node.value) if node.value else "nothing"
        return "a list" if isinstance(node, self.yaml.SequenceNode) else "a mapping"

    # parts

    def pairs(self, node: Any, what: str) -> Iterator[tuple[str, Any, Any]]:
        """Key, its node and the value's of a mapping, or of the OrderedDict that PluginGen writes. Each key is there once."""
        if isinstance(node, self.yaml.SequenceNode) and node.tag.endswith(":collections.OrderedDict"):
            items = [item for part in node.value for item in self.items(part, what)]
            pairs = [tuple(self.items(item, what)) for item in items]
            for item, pair in zip(items, pairs, strict=True):
                if len(pair) != 2:
                    raise self.fail(item, f"found a list of {len(pair)}, expected a name and what it is: {what}")
        elif isinstance(node, self.yaml.MappingNode):
            own = {id(key) for key, _ in node.value}
            self.loader.flatten_mapping(node)  # '<<: *other'
            named = {str(key.value) for key, _ in node.value if id(key) in own}
            pairs = [(k, v) for k, v in node.value if id(k) in own or str(k.value) not in named]
        else:
            raise self.fail(node, f"found {self.found(node)}, expected a mapping: {what}", _QUOTE)
        seen: set[str] = set()
        for key, value in pairs:
            if not isinstance(key, self.yaml.ScalarNode):
                raise self.fail(key, f"found {self.found(key)}, expected a name: {what}", _QUOTE)
            if key.value in seen:
                raise self.fail(key, f"{key.value!r} is there twice", "keep one of them")
            seen.add(key.value)
            yield key.value, key, value

    def fields(self, node: Any, known: Iterable[str], what: str) -> dict[str, Any]:
        """Nodes by key; others than `known` are refused."""
        found = {}
        for name, key, value in self.pairs(node, what):
            if name not in known:
                close = difflib.get_close_matches(name, list(known), 1)
                hint = f"did you mean {close[0]!r}?" if close else ""
                raise self.fail(key, f"found the key {name!r}, expected one of {', '.join(known)}", hint)
            found[name] = value
        return found

    def text_of(self, node: Any, what: str) -> str:
        if not isinstance(node, self.yaml.ScalarNode) or node.tag.endswith(":null"):
            raise self.fail(node, f"{what} is {self.found(node)}, expected a text", _QUOTE)
        return str(node.value)

    def value(self, node: Any, what: str) -> Any:
        """A number, a text, true, false or null."""
        found = self.loader.construct_object(node) if isinstance(node, self.yaml.ScalarNode) else node
        if not isinstance(found, _PLAIN):
            raise self.fail(
                node, f"{what} is {self.found(node)}, expected a number, a text, true, false or null", _QUOTE
            )
        return found

    def items(self, node: Any, what: str) -> list[Any]:
        if not isinstance(node, self.yaml.SequenceNode):
            raise self.fail(node, f"{what} is {self.found(node)}, expected a list", f"{what}: ['...']")
        return list(node.value)

    # kernels

    def kernel(self, node: Any) -> KernelMetaData:
        fields = self.fields(node, _KERNEL_KEYS, "a kernel")
        for needed in ("name", "arguments"):
            if needed not in fields:
                raise self.fail(node, f"the kernel has no {needed!r}", f"{needed}: ...")
        if "shape_infer_rules" in fields and "shape_deduce" in fields:
            raise self.fail(fields["shape_deduce"], "found shape_deduce beside shape_infer_rules",
                            "they are two names of one thing: keep shape_infer_rules")  # fmt: skip
        kernel = KernelMetaData(self.text_of(fields["name"], "name"))
        kernel.places[""] = self.place(node.start_mark)
        for key, name in (("name", "kernel_name"), ("kernel_file", "kernel_file"), ("version", "version"),
                          ("num_warps", "num_warps"), ("num_stages", "num_stages")):  # fmt: skip
            if key in fields:
                kernel.places[name] = self.place(fields[key].start_mark)
                whole = name in ("version", "num_warps", "num_stages")
                setattr(kernel, name, (self.value if whole else self.text_of)(fields[key], key))
        ios = []
        for name, _, value in self.pairs(fields["arguments"], "the arguments"):
            kernel.places[f"ios[{len(ios)}]"] = self.place(value.start_mark)
            kernel.places[repr(name)] = self.place(value.start_mark)
            ios.append(self.argument(name, value))
        kernel.ios = ios
        rules = fields.get("shape_infer_rules", fields.get("shape_deduce"))
        if rules is not None:
            kernel.shape_infer_rules = self.texts(kernel, rules, "shape_infer_rules", lambda i: f"shape rule {i + 1}")
        if "grid_dims" in fields:
            kernel.grid_dims = tuple(self.texts(kernel, fields["grid_dims"], "grid_dims", lambda i: f"grid_dims[{i}]"))
        return kernel

    def texts(self, kernel: KernelMetaData, node: Any, what: str, name: Callable[[int], str]) -> list[str]:
        found = []
        kernel.places[what] = self.place(node.start_mark)
        for i, item in enumerate(self.items(node, what)):
            kernel.places[name(i)] = self.place(item.start_mark)
            found.append(self.text_of(item, name(i)))
        return found

    def argument(self, name: str, node: Any) -> Argument | Constexpr:
        what = f"argument {name!r}"
        if isinstance(node, self.yaml.MappingNode) and any(key.value == "value" for key, _ in node.value):
            return Constexpr(self.value(self.fields(node, ("value",), what)["value"], f"the value of {name!r}"))
        fields = self.fields(node, _ARGUMENT_KEYS, what)
        kind = self.text_of(fields["arg_type"], f"arg_type of {name!r}") if "arg_type" in fields else "INPUT"
        if kind not in ArgType.__members__:
            raise self.fail(fields["arg_type"], f"arg_type of {name!r} is {kind!r}, "
                            f"expected one of {', '.join(ArgType.__members__)}")  # fmt: skip
        if "name" in fields and self.text_of(fields["name"], "name") != name:
            raise self.fail(fields["name"], f"{what} has the name {fields['name'].value!r}", "leave the name out")
        if "default" in fields and kind != "PARAM":
            raise self.fail(fields["default"], f"found a default of {name!r}, which is {kind}",
                            "only a PARAM has a default")  # fmt: skip
        if "dtype" not in fields and kind != "DIM_SIZE":
            raise self.fail(node, f"{what} has no dtype", 'dtype: "tensor[fp32]"')
        more: dict[str, Any] = {}
        if "hints" in fields:
            more["hints"] = [self.text_of(h, f"a hint of {name!r}") for h in self.items(fields["hints"], "hints")]
        if "default" in fields:
            more["default"] = self.value(fields["default"], f"the default of {name!r}")
        try:
            dtype = Type(self.text_of(fields["dtype"], f"dtype of {name!r}")) if "dtype" in fields else Type("i32")
        except OpwrightError as e:
            raise e.at(self.place(fields["dtype"].start_mark)) from None
        return DimSizeArg(name, dtype=dtype, **more) if kind == "DIM_SIZE" else _CLASSES[kind](name, dtype, **more)


def dump_kernel(kernel: KernelMetaData) -> str:
    """The text that load_kernels reads back. A Constexpr that is no plain value is refused."""
    yaml = import_yaml()
    arguments: dict[str, dict[str, Any]] = {}
    taken = {a.name for a in kernel.arguments}
    free = (name for i in itertools.count() if (name := f"constexpr_{i}") not in taken)
    for i, io in enumerate(kernel.ios):
        if isinstance(io, Constexpr):
            if not isinstance(io.value, _PLAIN):
                raise InputError(
                    f"ios[{i}] is Constexpr({io.value!r}), which YAML has no word for",
                    hint="keep this kernel in a kernel_config.py",
                )
            arguments[next(free)] = {"value": io.value}
            continue
        entry: dict[str, Any] = {"dtype": str(io.dtype), "arg_type": io.arg_type.name}
        if io.hints:
            entry["hints"] = [str(hint) for hint in io.hints]
        if isinstance(io, ParamArg) and io.default is not None:
            entry["default"] = io.default
        arguments[io.name] = entry
    whole = {
        "name": kernel.kernel_name, "kernel_file": str(kernel.kernel_file), "version": kernel.version,
        "num_warps": kernel.num_warps, "num_stages": kernel.num_stages, "grid_dims": [str(g) for g in kernel.grid_dims],
        "arguments": arguments, "shape_infer_rules": list(kernel.shape_infer_rules),
    }  # fmt: skip
    return str(yaml.safe_dump(whole, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True))


def read_kernels(path: Path) -> list[KernelMetaData]:
    """The kernels of a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise InputError(f"the kernel configuration {str(path)!r} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InputError(f"found bytes that are no UTF-8 (at {e.start})", where=path, hint="save it as UTF-8") from e
    return load_kernels(text, str(path))
