"""Where the installed package keeps what C and C++ programs are built with."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def include_dir() -> str:
    """The folder to compile with: `#include <opwright/plugin.h>`, `<opwright/plugin.hpp>`."""
    return str(_PACKAGE / "include")


def cmake_dir() -> str:
    """The folder of opwrightConfig.cmake, for CMAKE_PREFIX_PATH or opwright_DIR of a project that finds opwright."""
    return str(_PACKAGE / "lib" / "cmake" / "opwright")
