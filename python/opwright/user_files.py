"""Runs Python files of the user, with errors that name their lines."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import ModuleType

from opwright.errors import InputError, MissingError, OpwrightError


@contextmanager
def quiet_imports(folder: Path) -> Iterator[None]:
    """Modules beside a user's file can be imported, and no bytecode is written anywhere."""
    no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    modules = set(sys.modules)
    try:
        yield
    finally:
        sys.dont_write_bytecode = no_bytecode
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in set(sys.modules) - modules:  # two configurations may each have a module of one name beside them
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).parent == folder:
                del sys.modules[name]


def run_file(path: Path, name: str, what: str) -> ModuleType:
    """Runs a Python file of the user as a module. `what` names it in messages."""
    if not path.is_file():
        raise InputError(
            f"{what} {str(path)!r} is not a file", hint="check the path; it is relative to the file that names it"
        )
    spec = util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{what} {str(path)!r} is not a Python file", hint="give a file that ends in .py")
    module = util.module_from_spec(spec)
    with quiet_imports(path.resolve().parent):
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except OpwrightError as e:
            raise e.at(_place(e, path)) from None
        except ModuleNotFoundError as e:
            raise MissingError(
                f"{what} needs the Python package {e.name!r}, which is not installed",
                where=_place(e, path),
                hint=f"install it (pip install {(e.name or '').partition('.')[0]}), or take the import out of the file",
            ) from e
        except (Exception, SystemExit) as e:
            text = "".join(traceback.format_exception_only(e))
            raise InputError(
                f"{what} cannot be run", where=_place(e, path), detail=text, hint="correct that line"
            ) from e
        finally:
            sys.modules.pop(name, None)
    return module


def _place(error: BaseException, path: Path) -> str:
    """file:line of the user's file where the error arose."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
