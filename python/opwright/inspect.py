"""`opwright inspect LIB.so`: everything that a plugin library's tables say, as a dict and as text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from opwright.loader import Attribute, Library, Op, Tensor, load
from opwright.programs import VARIADIC, infix

_LEVELS = {
    3: "x86-64-v3", 4: "x86-64-v4", 5: "x86-64-v4-bf16", 6: "x86-64-v4-amx", 32: "aarch64", 33: "aarch64-sve",
}  # fmt: skip
_GUARDS = {1: "% {} == 0", 2: "== {}", 3: ">= {}", 4: "<= {}", 5: "null", 6: "set"}
_FILL = 2


def inspect(path: str | os.PathLike[str], sealed: bool = True) -> dict[str, Any]:
    """What `opwright inspect --json` prints. Programs are infix texts as in a build request."""
    library = load(path, sealed)
    tables = library.tables
    sizes = _function_sizes(library.path)
    return {
        "path": library.path,
        "name": library.name,
        "producer": library.producer,
        "abi": list(library.abi),
        "hash": tables["hash"],
        "bytes": os.path.getsize(library.path),
        "ops": [_op(library, name, table) for name, table in library.items()],
        "kernels": [_kernel(k, sizes) for k in tables["kernels"] if k],
    }


def _op(library: Library, name: str, table: dict[str, Any]) -> dict[str, Any]:
    if table["error"]:
        return {"name": name, "version": table["version"], "error": table["error"]}
    op = library[name]
    return {
        "name": str(op),
        "version": op.version,
        "signature": op.signature(),
        "doc": table["doc"] or "",
        "inputs": [_tensor(t) for t in op.inputs],
        "outputs": [_tensor(t) for t in op.outputs],
        "attributes": [_attribute(a) for a in op.attributes],
        "dtypes": [list(row) for row in op.dtypes],
        **_condition(table, table),
        "vars": [infix(program, table, inline=False) for program in table["vars"]],
        "sizes": [
            {"name": z["name"], "output": table["outputs"][z["output"]]["name"], "upper": infix(z["upper"], table), "typical": infix(z["typical"], table)}
            for z in table["sizes"]
        ],
        "tactics": [{"id": number, "text": text} for number, text in op.tactics.items()],
        "tuned": table["tuned_count"],
        "flops": infix(table["flops"], table),
        "bytes": infix(table["bytes"], table),
        "plans": list(_plans(library, op, table)),
    }  # fmt: skip


def _condition(of: dict[str, Any], table: dict[str, Any]) -> dict[str, str]:
    """Which calls an operator, or a plan, takes."""
    return {"valid": infix(of["valid"], table), "valid_text": of["valid_text"] or ""}


def _tensor(t: Tensor) -> dict[str, Any]:
    said = {
        "optional": t.optional, "variadic": t.variadic, "host": t.host, "strided": t.strided, "size": t.size,
        "inplace": t.inplace, "alias": t.alias, "align": t.align,
    }  # fmt: skip
    found = {"name": t.name, "doc": t.doc, "dtypes": list(dict.fromkeys(t.dtypes)), "rank": list(t.rank)}
    return found | {key: value for key, value in said.items() if value} | ({"shape": list(t.shape)} if t.shape else {})


def _attribute(a: Attribute) -> dict[str, Any]:
    found = {"name": a.name, "doc": a.doc, "kind": a.kind, "required": a.required}
    if not a.required:
        found["default"] = a.default.hex() if isinstance(a.default, bytes) else a.default
    return (
        found
        | ({"choices": list(a.choices)} if a.choices else {})
        | ({"list_length": a.list_length} if a.list_length else {})
    )


def _plans(library: Library, op: Op, table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One for each combination of element types and tactic that has one."""
    tactics = list(op.tactics)
    for place, index in enumerate(table["plan_index"]):
        combination, device, tactic = place // (2 * len(tactics)), place // len(tactics) % 2, place % len(tactics)
        if index < 0:
            continue
        plan = table["plans"][index]
        buffers = [f"ws{i}" for i in range(len(plan["workspace"]))]
        names = [t.name for t in (*op.inputs, *op.outputs)] + buffers
        yield {
            "combination": combination,
            "device": ("cpu", "cuda")[device],
            "tactic": tactics[tactic],
            **_condition(plan, table),
            "workspace": [
                {"name": name, "dtype": w["dtype"], "elements": infix(w["elements"], table), "upper": infix(w["upper"], table), "align": w["align"]}
                for name, w in zip(buffers, plan["workspace"], strict=True)
            ],
            "launches": [_launch(launch, names, library, table) for launch in plan["launches"]],
        }  # fmt: skip


def _launch(launch: dict[str, Any], names: list[str], library: Library, table: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"phase": launch["phase"]}
    if launch["when"]:
        said["when"] = infix(launch["when"], table)
    if launch["kind"] == _FILL:
        return said | {"fill": names[launch["fill_tensor"]], "fill_byte": launch["fill_byte"]}
    grid = [infix(axis, table) or "1" for axis in launch["grid"]]
    while len(grid) > 1 and grid[-1] == "1":
        grid.pop()
    return said | {
        "grid": grid,
        "args": [_argument(a, names, table) for a in launch["args"]],
        "variants": [_variant(v, library, table) for v in launch["variants"]],
    }


def _argument(a: dict[str, Any], names: list[str], table: dict[str, Any]) -> str:
    kind, ios = a["kind"], table["inputs"]
    if kind in (1, 2):
        several = a["tensor"] < len(ios) and ios[a["tensor"]]["flags"] & VARIADIC
        tensor = f"{names[a['tensor']]}[{a['index']}]" if several else names[a["tensor"]]
        return f"ptr {tensor}" if kind == 1 else f"stride {tensor}.{a['axis']}"
    if kind == 3:
        return infix(a["program"], table)
    if kind == 4:
        return f"attr {table['attrs'][a['index']]['name']}"
    return {5: f"constant {a['index']}", 6: "descriptor", 7: "null"}.get(kind, f"kind {kind}")


def _variant(v: dict[str, Any], library: Library, table: dict[str, Any]) -> dict[str, Any]:
    kernel = library.tables["kernels"][v["kernel"]]
    found = {"kernel": v["kernel"], "name": kernel["name"] if kernel else "?"}
    guards = [f"arg {arg} {_GUARDS.get(kind, '?').format(value)}" for kind, arg, value in v["guards"]]
    more = {"guards": guards, "when": infix(v["when"], table), "reason": v["reason"]}
    return found | {key: value for key, value in more.items() if value}


def _kernel(kernel: dict[str, Any], sizes: dict[int, int]) -> dict[str, Any]:
    images = [
        {"level": _LEVELS.get(i["level"], str(i["level"])), "code_bytes": sizes.get(i["offset"], 0),
         "scratch_bytes": i["scratch_bytes"], "grain": i["grain"], "ordered": bool(i["flags"] & 1),
         "params": [dtype if kind == 2 else {1: "pointer", 3: "dropped"}.get(kind, "descriptor") for kind, dtype in i["params"]]}
        for i in kernel["cpu"]
    ]  # fmt: skip
    return {
        "name": kernel["name"] or "?", "file": kernel["file"] or "", "line": kernel["line"], "signature": kernel["signature"] or "",
        "hash": kernel["hash"], "cpu": images,
    }  # fmt: skip


def _function_sizes(path: str) -> dict[int, int]:
    """Bytes of each function of an ELF file by its offset from the load address; empty for one that was stripped."""
    with open(path, "rb") as file:
        data = file.read()

    def number(at: int, width: int) -> int:
        return int.from_bytes(data[at : at + width], "little")

    sections, entry, count = number(40, 8), number(58, 2), number(60, 2)
    found = {}
    for at in range(sections, sections + entry * count, max(entry, 1)):
        if number(at + 4, 4) != 2:  # SHT_SYMTAB
            continue
        start, size = number(at + 24, 8), number(at + 32, 8)
        for symbol in range(start, start + size, 24):
            if data[symbol + 4] & 15 == 2:  # STT_FUNC
                found[number(symbol + 8, 8)] = number(symbol + 16, 8)
    return found


def lines(found: dict[str, Any]) -> Iterator[str]:
    """What `opwright inspect` prints."""
    yield found["path"]
    yield f"  {found['producer']}, plugin ABI {found['abi'][0]}.{found['abi'][1]}, {found['bytes']:,} bytes"
    for op in found["ops"]:
        yield ""
        if "error" in op:
            yield f"{op['name']} (version {op['version']}) is damaged: {op['error']}"
            continue
        yield f"{op['signature']}" + (f"  (version {op['version']})" if op["version"] != 1 else "")
        yield from (f"    {line}" for line in op["doc"].splitlines())
        for title in ("inputs", "outputs"):
            yield from (f"  {title[:-1]:9} {_tensor_line(t)}" for t in op[title])
        yield from (f"  {'attribute':9} {_attribute_line(a)}" for a in op["attributes"])
        yield from (f"  types {i:<3} {', '.join(_pairs(op, row))}" for i, row in enumerate(op["dtypes"]) if row)
        yield from (f"  {line}" for line in _condition_lines(op))
        for z in op["sizes"]:
            yield f"  counts    {z['name']} in {z['output']}, at most {z['upper'] or '(no bound)'}"
        yield from (f"  {'tactic':9} {t['id']}{': ' + t['text'] if t['text'] else ''}" for t in op["tactics"])
        for plan in op["plans"]:
            yield f"  plan      types {plan['combination']}, {plan['device']}, tactic {plan['tactic']}"
            yield from (f"    {line}" for line in _condition_lines(plan))
            for w in plan["workspace"]:
                yield f"    {w['name']}: {w['dtype']}[{w['elements']}]" + (
                    f", at most {w['upper']}" if w["upper"] else ""
                )
            for launch in plan["launches"]:
                yield from (f"    {line}" for line in _launch_lines(launch))
    yield ""
    for i, kernel in enumerate(found["kernels"]):
        place = f"  {kernel['file']}:{kernel['line']}" if kernel["file"] else ""
        yield f"kernel {i}: {kernel['name']}{place}"
        for image in kernel["cpu"]:
            more = f", {image['scratch_bytes']} bytes of scratch" if image["scratch_bytes"] else ""
            size = f"{image['code_bytes']:,} bytes" if image["code_bytes"] else "size not known"
            yield f"    {image['level']}: {size}{more}{', in order' if image['ordered'] else ''}"


def _condition_lines(of: dict[str, Any]) -> Iterator[str]:
    """What the refusals say; the program that tells them apart is for tools."""
    yield from (f"refuses   {text}" for text in of["valid_text"].splitlines())
    if of["valid"] and not of["valid_text"]:
        yield f"requires  {of['valid']}"


def _pairs(op: dict[str, Any], row: list[str]) -> Iterator[str]:
    names = [t["name"] for t in (*op["inputs"], *op["outputs"])]
    return (f"{name} {dtype}" for name, dtype in zip(names, row, strict=True))


def _tensor_line(t: dict[str, Any]) -> str:
    low, high = t["rank"]
    parts = [
        " or ".join(t["dtypes"]),
        f"[{', '.join(t['shape'])}]" if "shape" in t else f"rank {low}" if low == high else f"rank {low} to {high}",
    ]
    parts += [word for word in ("optional", "variadic", "host", "strided", "size") if t.get(word)]
    if "alias" in t:
        parts.append(f"{'in place of' if t.get('inplace') else 'may share'} {t['alias']}")
    if "align" in t:
        parts.append(f"aligned to {t['align']}")
    return f"{t['name']}: {', '.join(parts)}" + (f"  ({t['doc']})" if t["doc"] else "")


def _attribute_line(a: dict[str, Any]) -> str:
    parts = [a["kind"], "required" if a["required"] else f"default {a['default']!r}"]
    if "choices" in a:
        parts.append(f"one of {', '.join(a['choices'])}")
    if "list_length" in a:
        parts.append(f"of length {a['list_length']}")
    return f"{a['name']}: {', '.join(parts)}" + (f"  ({a['doc']})" if a["doc"] else "")


def _launch_lines(launch: dict[str, Any]) -> Iterator[str]:
    head = f"phase {launch['phase']}: " if launch["phase"] else ""
    tail = f"  when {launch['when']}" if "when" in launch else ""
    if "fill" in launch:
        yield f"{head}fill {launch['fill']} with {launch['fill_byte']}{tail}"
        return
    yield f"{head}launch [{', '.join(launch['grid'])}] ({', '.join(launch['args'])}){tail}"
    for v in launch["variants"]:
        conditions = [*v.get("guards", ()), *([v["when"]] if "when" in v else ())]
        refusal = f"; else: {v['reason']}" if "reason" in v else ""
        yield (
            f"  kernel {v['kernel']} {v['name']}" + (f" where {', '.join(conditions)}" if conditions else "") + refusal
        )
