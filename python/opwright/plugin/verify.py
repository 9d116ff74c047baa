"""Compares a library with the `impl` functions of its definitions: every combination of element types and every tactic, on random
arrays of odd and even sizes, at aligned and other addresses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opwright.dtypes import DType, numpy_type
from opwright.errors import InputError
from opwright.native import PluginError
from opwright.plugin import eager
from opwright.plugin.combinations import Combination
from opwright.plugin.definition import Definition
from opwright.plugin.trace import Traced, trace
from opwright.workspace import Progress

_SIZES = (1, 2, 3, 5, 7, 16, 17, 32, 48, 64, 100)
_MOST_ELEMENTS = 50_000
_TRIES = 400
# What a library may refuse of what register takes: a value, size or rank for which it was not built (statuses of plugin.h).
_REFUSALS = (1, 3, 6)


@dataclass
class Checked:
    """One combination and tactic of an operator: how many calls, and the largest error in units of what is allowed."""

    op: str
    types: str
    tactic: int
    calls: int
    worst: float
    refused: int = 0  # calls that register takes and the library does not
    reason: str = ""  # of the last refusal
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return vars(self) | {"ok": not self.problem}


def verify(
    definitions: Sequence[Definition], library: Any, seed: int = 0, calls: int = 6, progress: Progress = lambda stage: None
) -> list[Checked]:  # fmt: skip
    """Runs the operators that have an impl. `library` is what opwright.load returns.

    Floats are compared with the impl on float64 arrays: an error of eps * (16 + n) of the largest value is allowed, with n the largest
    size of an axis and eps that of the output's type; that is what a sum of n terms may lose. Everything else must be equal.
    """
    rows = []
    for definition in definitions:
        if definition.impl is None:
            raise InputError(
                f"{definition.id} has no impl, expected one to compare with", where=definition.where,
                hint=f'@opwright.plugin.impl("{definition.id}"), or leave it out with --ops',
            )  # fmt: skip
        if definition.id not in library:
            raise InputError(f"{library.path} has no operator {definition.id}", hint="build the definitions again")
        traced = trace(definition)
        for number, combination in enumerate(traced.combinations):
            for tactic in traced.tactics[number]:
                progress(f"{definition.id}, tactic {tactic.id}")
                random = np.random.default_rng([seed, number, tactic.id])
                rows.append(_check(traced, combination, tactic.id, library[definition.id], random, calls))
    return rows


def _check(
    traced: Traced, combination: Combination, tactic: int, op: Any, random: np.random.Generator, calls: int
) -> Checked:
    definition = traced.definition
    types = ", ".join(dtype.triton for dtype in combination.types)
    checked = Checked(definition.id, types, tactic, 0, 0.0)
    for inputs, attributes in itertools.islice(_calls(definition, combination, random), _TRIES):
        if checked.calls == calls:
            return checked
        try:
            found = op(*inputs, **attributes, tactic=tactic)
        except PluginError as e:
            if e.code not in _REFUSALS:
                checked.problem = f"{_shown(inputs)}, {attributes or 'no attributes'}: {e}"
                return checked
            checked.refused += 1
            checked.reason = str(e)
            continue
        expected = eager.run(definition, inputs, attributes, wide=True)
        pairs = zip(*(value if isinstance(value, tuple) else (value,) for value in (found, expected)), strict=True)
        largest = max((size for array in inputs if array is not None for size in array.shape), default=1)
        for output, (got, want) in zip(traced.outputs, pairs, strict=True):
            error = _error(np.asarray(got), np.asarray(want), largest)
            checked.worst = max(checked.worst, error)
            if error > 1 and not checked.problem:
                checked.problem = f"output {output.name!r} differs for inputs {_shown(inputs)} and {attributes or 'no attributes'}, by {error:.3g} of what is allowed"
        checked.calls += 1
    if checked.calls < calls:
        raise InputError(
            f"{definition.id}: found {checked.calls} of {calls} calls with random sizes that are taken"
            + (f"; the last was refused: {checked.reason}" if checked.reason else ""),
            hint="declare ranks, and choices of attributes",
        )
    return checked


def _shown(inputs: Sequence[Any]) -> str:
    return ", ".join("none" if array is None else str(list(array.shape)) for array in inputs)


def _error(got: np.ndarray, want: np.ndarray, largest: int) -> float:
    """The largest difference, in units of what is allowed."""
    if got.shape != want.shape:
        return float("inf")
    if want.dtype.kind != "f":
        return 0.0 if np.array_equal(got, want) else float("inf")
    if not got.size:
        return 0.0
    # ml_dtypes has its own finfo; its types have few bits
    eps = float(np.finfo(got.dtype).eps) if got.dtype.kind == "f" else _eps(got.dtype)
    wide = got.astype(np.float64)
    if not np.array_equal(np.isnan(wide), np.isnan(want)):
        return float("inf")
    finite = np.isfinite(want)
    if not np.array_equal(wide[~finite], want[~finite], equal_nan=True):
        return float("inf")
    scale = float(np.abs(want[finite]).max(initial=0.0))
    difference = float(np.abs(wide[finite] - want[finite]).max(initial=0.0))
    return 0.0 if difference == 0 else difference / (eps * (16 + largest) * scale) if scale else float("inf")


def _eps(dtype: np.dtype) -> float:
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).eps)


def _calls(
    definition: Definition, combination: Combination, random: np.random.Generator
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Inputs and attributes that register takes, as far as it is known without a library."""
    for _ in range(_TRIES * 20):
        inputs = _inputs(definition, combination, random)
        attributes = {name: _value(attribute, random) for name, attribute in definition.attributes.items()}
        if sum(array.size for array in inputs if array is not None) > _MOST_ELEMENTS:
            continue
        try:
            arrays, values = eager.bind(definition, inputs, attributes)
            eager.describe(definition, arrays, values)
        except (InputError, IndexError, ValueError):
            continue
        yield inputs, attributes


def _inputs(definition: Definition, combination: Combination, random: np.random.Generator) -> list[Any]:
    """Tensors whose sizes mostly agree from the last axis on, as those of most operators must."""
    sizes = [int(size) for size in random.choice(_SIZES, 16)]
    any_rank = int(random.integers(1, 5))
    inputs: list[Any] = []
    for tensor, dtype in zip(definition.inputs, combination.types, strict=False):
        if tensor.optional and random.random() < 0.5:
            inputs.append(None)
            continue
        known = definition.ranks.get(tensor.name)
        rank = tensor.rank if tensor.rank is not None else int(random.choice(known)) if known else any_rank
        shape = tuple(int(random.choice(_SIZES)) if random.random() < 0.1 else size for size in sizes[16 - rank :])
        inputs.append(_array(dtype, shape, random, tensor.host, tensor.strided))
        for _ in range(int(random.choice(tensor.counts)) - 1 if tensor.counts else 0):
            own = (int(random.choice(_SIZES)), *shape[1:]) if random.random() < 0.5 and shape else shape
            inputs.append(_array(dtype, own, random, tensor.host, tensor.strided))
    return inputs


def _array(dtype: DType, shape: tuple[int, ...], random: np.random.Generator, host: bool, strided: bool) -> np.ndarray:
    """Small numbers, a part of them zero, that every type has; sometimes at an address that is not a multiple of 16, and with strides
    where the input takes any."""
    count = int(np.prod(shape, dtype=np.int64))
    if host or dtype.kind in ("int", "uint"):
        numbers = random.integers(0 if host or dtype.kind == "uint" else -8, 9, count)
    elif dtype.kind == "bool":
        numbers = random.integers(0, 2, count)
    else:
        numbers = random.standard_normal(count) * (random.random(count) < 0.8)
    start = int(random.integers(0, 2))
    memory = np.empty(count + start, numpy_type(dtype))
    memory[start:] = numbers.astype(memory.dtype)
    array = memory[start:].reshape(shape)
    if not strided or not shape or random.random() < 0.3:
        return array
    if len(shape) > 1 and random.random() < 0.5:
        return np.asfortranarray(array)
    wide = np.zeros((*shape[:-1], 2 * shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def _value(attribute: Any, random: np.random.Generator) -> Any:
    known = attribute.known()
    if known and (attribute.used or attribute.kind in ("enum", "bool", "string", "dtype") or random.random() < 0.5):
        return known[int(random.integers(len(known)))]
    if attribute.kind == "int":
        return int(random.integers(1, 6))
    if attribute.kind == "float":
        return float(np.float32(random.uniform(0.25, 2.0)))
    if attribute.kind in ("ints", "floats", "bools", "bytes"):
        count = len(known[0]) if known else int(random.integers(1, 5))
        numbers = random.integers(0, 3, count)
        return attribute.check(
            [{"floats": float, "bools": bool}.get(attribute.kind, int)(number) for number in numbers]
        )
    return known[0] if known else ""


def load_definitions(source: Path, ops: Sequence[str]) -> list[Definition]:
    """Those of a file that have an impl; all that are named."""
    from opwright.plugin.build import load

    found = load(source.absolute(), ops)
    kept = found if ops else [definition for definition in found if definition.impl is not None]
    if not kept:
        raise InputError(f"{source}: no operator has an impl, expected one to compare with")
    return kept
