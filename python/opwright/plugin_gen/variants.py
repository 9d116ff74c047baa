"""Specialisations of a kernel: what each may assume about its arguments, and the guards that select it at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opwright.plugin_gen.core import Argument


@dataclass(frozen=True)
class Variant:
    """Positions among the kernel's arguments without constexprs: multiples of 16, and integers equal to 1."""

    divisible: tuple[int, ...] = ()
    ones: tuple[int, ...] = ()

    def guards(self) -> list[str]:
        """Guards of a build request; neighbours are one range, both ends included."""
        runs: list[list[int]] = []
        for i in self.divisible:
            if runs and i == runs[-1][1] + 1:
                runs[-1][1] = i
            else:
                runs.append([i, i])
        texts = [f"arg {a} % 16 == 0" if a == b else f"arg {a}..{b} % 16 == 0" for a, b in runs]
        return texts + [f"arg {i} == 1" for i in self.ones]


def variants(arguments: Sequence[Argument]) -> list[Variant]:
    """The variants in the order of trial: most assumptions first, then one without any.

    Tensors without hints count as multiples of 16 in every hinted variant: allocators give that nearly always. The last
    variant takes what a caller gives otherwise, so no call is refused for its pointers.
    """
    count = max((len(a.hints) for a in arguments), default=0)
    found: list[Variant] = []
    for k in range(max(count, 1)):
        divisible: list[int] = []
        ones: list[int] = []
        for i, argument in enumerate(arguments):
            hint = argument.hints[k] if argument.hints else "16" if argument.dtype.is_tensor else ""
            if hint == "16":
                divisible.append(i)
            elif hint == "1":
                ones.append(i)
        found.append(Variant(tuple(divisible), tuple(ones)))
    found.append(Variant())
    unique = list(dict.fromkeys(found))
    return sorted(unique, key=lambda v: -len(v.divisible) - len(v.ones))
