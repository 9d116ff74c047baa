"""The paths through a definition.

Where a definition asks for the Python value of what only a call knows (`if x.shape_expr[0] > 4`, `int(pads[0])`, `bias is None`), it runs
once for each value that there may be: a path. What must hold of a call on that path are the path's conditions. A path is a replay: the
function runs from the start with the answers of a list, takes the first option of every new question, and the list is advanced at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Generic, TypeVar

from opwright.errors import InputError
from opwright.expressions import Expr, Num, Op, show

_MOST = 256  # paths of one function: more are a mistake, such as a loop over a symbol

Result = TypeVar("Result")


@dataclass(frozen=True)
class Option:
    """One answer, and what holds of the calls for which it is right."""

    value: Any
    condition: Expr


@dataclass(frozen=True)
class Requirement:
    """Calls for which `given` holds must have `test`, else they are refused with the text."""

    given: tuple[Expr, ...]
    test: Expr
    text: str


@dataclass(frozen=True)
class Leaf(Generic[Result]):
    """What a function returned on one path. `configs` are the labels of the tuning configurations that it used."""

    conditions: tuple[Expr, ...]
    result: Result
    configs: tuple[str, ...] = ()

    @property
    def condition(self) -> Expr | None:
        """All conditions in one; None where there are none."""
        return all_of(self.conditions) if self.conditions else None


class Impossible(InputError):
    """The path is none: for example, a size of an axis that a tensor of this rank has not."""


@dataclass
class _Question:
    options: Sequence[Option]
    taken: int
    tried: bool  # the options are guesses: one that leads nowhere is left out
    refusal: str = ""


@dataclass
class _Walk:
    known: Any
    config: int
    prefix: list[int]
    asked: list[_Question] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    configs: int = 1  # combinations of tuning configurations on this path

    def conditions(self) -> tuple[Expr, ...]:
        return tuple(question.options[question.taken].condition for question in self.asked)


_walk: ContextVar[_Walk | None] = ContextVar("_walk", default=None)


def exploring() -> bool:
    """Whether questions can be asked."""
    return _walk.get() is not None


def known() -> Any:
    """What `explore` was told about values that are known when an operator is built."""
    walk = _walk.get()
    return walk.known if walk else None


def answered(key: str) -> Any:
    """The answer on this path, or None."""
    walk = _walk.get()
    return walk.answers.get(key) if walk else None


def ask(key: str, options: Callable[[], Sequence[Option]], *, otherwise: str = "", tried: bool = False) -> Any:
    """The answer to a question on this path; the same one each time.

    `otherwise` is what a call is refused with for which no option is right; without it, one always is. With `tried`, the options are
    guesses of which those count that lead to a result.
    """
    walk = _walk.get()
    assert walk is not None, key
    if key in walk.answers:
        return walk.answers[key]
    choices = options()
    before = walk.conditions()
    number = len(walk.asked)
    taken = walk.prefix[number] if number < len(walk.prefix) else 0
    walk.asked.append(_Question(choices, taken, tried))
    walk.asked[-1].refusal = otherwise
    walk.answers[key] = choices[taken].value
    return walk.answers[key]


def choose_config(labels: Sequence[str]) -> int:
    """Which of a kernel's tuning configurations this run of the definition takes: each of their combinations is a tactic."""
    walk = _walk.get()
    assert walk is not None
    index = walk.config // walk.configs % len(labels)
    walk.configs *= len(labels)
    walk.labels.append(labels[index])
    return index


@dataclass
class Explored(Generic[Result]):
    """All paths of a function, what they need of a call together, and how many combinations of tuning configurations there are."""

    leaves: list[Leaf[Result]]
    requirements: list[Requirement]
    configs: int


def explore(function: Callable[[], Result], known: Any = None, config: int = 0) -> Explored[Result]:
    """Runs the function once for each path."""
    leaves: list[Leaf[Result]] = []
    asked: dict[str, dict[str, Requirement]] = {}  # for each question that a call may have no answer to: its answers
    prefix: list[int] | None = []
    configs, runs = 1, 0
    impossible: Exception | None = None
    while prefix is not None:
        walk = _Walk(known, config, prefix)
        runs += 1
        if runs > _MOST:
            raise InputError(
                f"the definition has more than {_MOST} paths, expected fewer conditions on symbols",
                hint="write sizes as expressions: opwright.plugin.where(condition, a, b)",
            )
        with _walking(walk):
            try:
                result = function()
                leaves.append(Leaf(walk.conditions(), result, tuple(walk.labels)))
                _note_answers(walk, asked)
                configs = max(configs, walk.configs)
            except (Impossible, IndexError) as e:
                if not any(question.tried for question in walk.asked):
                    raise
                impossible = e
        prefix = _next(walk)
    if not leaves:
        assert impossible is not None
        raise impossible
    requirements = [
        Requirement(first.given, any_of([answer.test for answer in answers.values()]), first.text)
        for answers in asked.values()
        for first in [next(iter(answers.values()))]
    ]
    return Explored(leaves, requirements, configs)


def _note_answers(walk: _Walk, asked: dict[str, dict[str, Requirement]]) -> None:
    """Adds the answers of a path that has led to a result."""
    conditions = walk.conditions()
    for number, question in enumerate(walk.asked):
        if question.refusal:
            given, test = conditions[:number], conditions[number]
            key = f"{[show(e) for e in given]} {question.refusal}"
            asked.setdefault(key, {})[show(test)] = Requirement(given, test, question.refusal)


def _next(walk: _Walk) -> list[int] | None:
    """The answers that come after those of a path, or None after the last."""
    taken = [question.taken for question in walk.asked]
    while taken:
        if taken[-1] + 1 < len(walk.asked[len(taken) - 1].options):
            taken[-1] += 1
            return taken
        taken.pop()
    return None


@contextmanager
def _walking(walk: _Walk) -> Iterator[None]:
    token = _walk.set(walk)
    try:
        yield
    finally:
        _walk.reset(token)


def all_of(tests: Sequence[Expr]) -> Expr:
    """Whether all hold. A test is evaluated only where those before it hold: they may be what it relies on."""
    if not tests:
        return Num(1)
    if len(tests) == 1:
        return tests[0]
    return Op("select", (tests[0], all_of(tests[1:]), Num(0)))


def any_of(tests: Sequence[Expr]) -> Expr:
    """Whether one holds, where none of them fails."""
    return reduce(lambda a, b: Op("or", (a, b)), tests) if tests else Num(0)
