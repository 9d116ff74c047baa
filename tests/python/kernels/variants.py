"""The same kernel under other names with its parameters in another order: what the compiler does must not depend on either."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import random
import sys
from pathlib import Path
from typing import Any


def make_variant(kernel: Any, seed: int, folder: Path) -> tuple[Any, dict[str, str]]:
    """A jit function equal to `kernel` in all but names and order of parameters, and the new name of each parameter.

    The functions that it calls in its module are renamed too; module-level constants are taken over as they are.
    """
    rng = random.Random(seed)
    module = sys.modules[kernel.fn.__module__]
    functions, constants = [], []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == "triton.jit" for d in node.decorator_list):
            functions.append(node)
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "tl.constexpr":
            constants.append(node)
    fresh = [f"q{n}" for n in range(500)]
    rng.shuffle(fresh)
    called = {function.name: fresh.pop() for function in functions}
    names: dict[str, str] = {}
    for function in functions:
        local = {arg.arg: fresh.pop() for arg in function.args.args}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in local:
                local[node.id] = fresh.pop()
        for node in ast.walk(function):
            if isinstance(node, ast.Name):
                node.id = local.get(node.id, called.get(node.id, node.id))
            elif isinstance(node, ast.arg):
                node.arg = local[node.arg]
        if function.name == kernel.fn.__name__:
            names = {old: local[old] for old in inspect.signature(kernel.fn).parameters}
            rng.shuffle(function.args.args)
        function.name = called[function.name]
    text = "\n\n\n".join(
        ["import triton\nimport triton.language as tl", *(ast.unparse(node) for node in (*constants, *functions))]
    )
    name = f"variant_{kernel.fn.__name__}_{seed}"
    path = folder / f"{name}.py"
    path.write_text(text + "\n")
    spec = importlib.util.spec_from_file_location(name, path)
    variant = importlib.util.module_from_spec(spec)
    sys.modules[name] = variant
    spec.loader.exec_module(variant)
    return getattr(variant, called[kernel.fn.__name__]), names
