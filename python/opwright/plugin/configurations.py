"""Kernels with `@triton.autotune` and `@triton.heuristics`, in either order: a configuration is a tactic, a heuristic's value a constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opwright.errors import InputError
from opwright.plugin import paths

_LAUNCH = ("num_warps", "num_stages")


def configured(kernel: Any, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The arguments of a launch with those of one configuration and of the heuristics, from the outermost decorator to the kernel."""
    from triton.runtime.autotuner import Autotuner, Heuristics
    from triton.runtime.jit import JITFunction

    arguments = dict(given)
    while not isinstance(kernel, JITFunction):
        if isinstance(kernel, Autotuner):
            _configure(kernel, arguments, what)
        elif isinstance(kernel, Heuristics):
            for name, heuristic in kernel.values.items():
                if name in given:
                    raise InputError(f"{what}: found {name!r} twice, expected it from @triton.heuristics alone")
                arguments[name] = _value(heuristic, name, arguments, what)
        else:
            raise InputError(
                f"{what}: found the decorator {type(kernel).__name__}, expected @triton.jit, @triton.autotune or @triton.heuristics"
            )
        kernel = kernel.fn
    return arguments


def _configure(tuner: Any, arguments: dict[str, Any], what: str) -> None:
    """Adds the constants and options of the configuration that this run of the definition takes."""
    index = paths.choose_config([_label(config) for config in tuner.configs])
    config = tuner.configs[index]
    if getattr(config, "pre_hook", None) is not None:
        raise InputError(
            f"{what}: the configuration {_label(config)} has a pre_hook, which is a Python function: a library runs none",
            hint="make its work a step of aot_impl: opwright.plugin.zero(tensor), or a launch",
        )
    for name, value in [*config.kwargs.items(), *((option, getattr(config, option)) for option in _LAUNCH)]:
        if name in arguments and name in _LAUNCH:
            continue  # the launch's own
        if name in arguments:
            raise InputError(
                f"{what}: found {name!r} twice, expected it from the configurations of @triton.autotune alone"
            )
        arguments[name] = value


def _label(config: Any) -> str:
    parts = [f"{name}={value}" for name, value in config.kwargs.items()]
    return ", ".join([*parts, *(f"{option}={getattr(config, option)}" for option in _LAUNCH)])


def _value(heuristic: Any, name: str, arguments: dict[str, Any], what: str) -> Any:
    try:
        return heuristic(arguments)
    except InputError:
        raise
    except Exception as e:
        raise InputError(
            f"{what}: the heuristic of {name!r} fails on symbols: {type(e).__name__}: {e}",
            hint="use comparisons, + - * // %, and opwright.plugin.next_power_of_2, cdiv, min, max",
        ) from e
