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

_MOST = 256  # paths of one function
_LONGEST = 64  # questions on one path: more are a mistake, such as a loop while a symbol is larger

Result = TypeVar("Result")


@dataclass(frozen=True)
class Option:
    """One answer, and what holds of the calls for which it is right."""

    value: Any
    condition: Expr
    text: str = ""  # in messages, where it is not the value's


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


@dataclass
class _Question:
    key: str
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

    `otherwise` is what a call is refused with for which no option is right ({values} are the options); without it, one always is. With `tried`, the options are
    guesses of which those count that lead to a result.
    """
    walk = _walk.get()
    assert walk is not None, key
    if key in walk.answers:
        return walk.answers[key]
    choices = options()
    number = len(walk.asked)
    if number == _LONGEST:
        raise InputError(
            f"the definition asks for more than {_LONGEST} values of symbols in one run, the last being '{key}'; expected no loop over one",
            hint="write sizes as expressions: opwright.plugin.where(condition, a, b)",
        )
    taken = walk.prefix[number] if number < len(walk.prefix) else 0
    walk.asked.append(_Question(key, choices, taken, tried, refusal=otherwise))
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


def explore(
    function: Callable[[], Result], known: Any = None, *, same: Callable[[Result], Any], config: int = 0
) -> Explored[Result]:
    """Runs the function once for each path. Where all answers that a call may have lead to the same, by `same` of the results, the question
    makes none."""
    runs: list[_Run[Result]] = []
    prefix: list[int] | None = []
    configs = count = 0
    while prefix is not None:
        walk = _Walk(known, config, prefix)
        count += 1
        if count > _MOST:
            raise InputError(
                f"the definition has more than {_MOST} paths, expected fewer conditions on symbols",
                hint="write sizes as expressions: opwright.plugin.where(condition, a, b)",
            )
        with _walking(walk):
            try:
                result = function()
                runs.append(_Run(walk.asked, Leaf((), result, tuple(walk.labels)), same(result)))
                configs = max(configs, walk.configs)
            except (InputError, IndexError, ValueError) as e:
                if not any(question.tried for question in walk.asked):
                    raise
                runs.append(_Run(walk.asked, Leaf((), None), None, e))  # type: ignore[arg-type]
        prefix = _next(walk)
    good = _without_failures(runs, 0)
    if not good:
        raise _failure(runs)
    runs = good
    requirements: list[Requirement] = []
    tree = _merge(runs, 0, (), requirements)
    return Explored(
        [Leaf(conditions, run.leaf.result, run.leaf.configs) for conditions, run in tree], requirements, configs
    )


@dataclass(frozen=True)
class _Run(Generic[Result]):
    """One path as it was walked."""

    asked: list[_Question]
    leaf: Leaf[Result]
    same: Any
    error: Exception | None = None  # what it raised instead


def _failure(runs: Sequence[_Run]) -> Exception:
    """What to tell where every guess fails: rather what is wrong on one of them alone than what a wrong guess leads to, such as the number
    of values to unpack."""
    failed = [(run, run.error) for run in runs if run.error is not None]
    own = [each for each in failed if not isinstance(each[1].__cause__ or each[1], (IndexError, ValueError))]
    run, error = own[0] if own else failed[-1]
    guesses = ", ".join(f"{q.key} {q.options[q.taken].value}" for q in run.asked if q.tried)
    if isinstance(error, InputError):
        error.message += f" (tried with {guesses})"
    return error


def _without_failures(runs: Sequence[_Run], depth: int) -> list[_Run]:
    """The runs below a question but for guesses that never lead to a result. A path that fails where others of the same guess do not is
    the author's to mend: its error is raised."""
    if len(runs[0].asked) == depth:
        return [run for run in runs if run.error is None]
    question = runs[0].asked[depth]
    by_answer: dict[int, list[_Run]] = {}
    for run in runs:
        by_answer.setdefault(run.asked[depth].taken, []).append(run)
    kept = {answer: _without_failures(group, depth + 1) for answer, group in by_answer.items()}
    good = [run for group in kept.values() for run in group]
    if good and not question.tried:
        for answer, group in kept.items():
            if not group:
                raise next(run.error for run in by_answer[answer] if run.error is not None)
    return good


_Tree = list[tuple[tuple[Expr, ...], _Run]]


def _merge(runs: Sequence[_Run], depth: int, given: tuple[Expr, ...], requirements: list[Requirement]) -> _Tree:
    """The paths below a question, with their conditions from there on; what the questions need of a call is added."""
    if len(runs[0].asked) == depth:
        return [((), runs[0])]
    question = runs[0].asked[depth]
    by_answer: dict[int, list[_Run]] = {}
    for run in runs:
        by_answer.setdefault(run.asked[depth].taken, []).append(run)
    below: dict[int, tuple[_Tree, list[Requirement]]] = {}
    for answer, group in by_answer.items():
        needs: list[Requirement] = []
        tree = _merge(group, depth + 1, (*given, question.options[answer].condition), needs)
        below[answer] = tree, needs
    trees = [tree for tree, _ in below.values()]
    if (
        not question.refusal
        and len(trees) == len(question.options)
        and all(_shown(tree) == _shown(trees[0]) for tree in trees)
    ):
        # the requirements are those below one answer, without its condition
        _merge(next(iter(by_answer.values())), depth + 1, given, requirements)
        return trees[0]
    tests = [question.options[answer].condition for answer in below]
    if question.refusal:
        values = ", ".join(question.options[answer].text or str(question.options[answer].value) for answer in below)
        requirements.append(Requirement(given, any_of(tests), question.refusal.replace("{values}", values)))
    for _, needs in below.values():
        requirements += needs
    return [((test, *conditions), run) for test, tree in zip(tests, trees, strict=True) for conditions, run in tree]


def _shown(tree: _Tree) -> list[Any]:
    return [([show(condition) for condition in conditions], run.same) for conditions, run in tree]


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
    """Whether all hold. A test counts only where those before it hold: they may be what it relies on."""
    return reduce(lambda a, b: Op("select", (a, b, Num(0))), tests) if tests else Num(1)


def any_of(tests: Sequence[Expr]) -> Expr:
    """Whether one holds, where none of them fails."""
    return reduce(lambda a, b: Op("or", (a, b)), tests) if tests else Num(0)
