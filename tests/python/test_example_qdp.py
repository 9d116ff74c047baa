"""TensorRT's samples (examples/qdp): every command of run.py, what each face gives for each operator, and the README."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")
pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import opwright
import opwright.plugin as trtp
from opwright.plugin.definition import collected

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/qdp"
SAMPLES = ("add", "inplace_add", "non_zero", "circ_pad")


@pytest.fixture(scope="module")
def example():
    """The modules of the example, and `run`: what a command prints and its exit code, as from a fresh process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        modules = {name: importlib.import_module(name) for name in ("engine", "model", "run")}

        def run(*words: object) -> int:
            sys.modules.pop("definitions", None)
            with collected():
                return modules["run"].main([str(word) for word in words])

        yield SimpleNamespace(**modules | {"run": run, "module": modules["run"]})
        for name in (*modules, "definitions"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def engines(example, tmp_path_factory):
    """A folder with an engine of each sample, of both types; that of circ_pad has both tactics."""
    folder = tmp_path_factory.mktemp("engines")
    for name in SAMPLES:
        more = ["--multi_tactic"] if name == "circ_pad" else []
        words = [name, "--aot", "--autotune", "--save_engine", "--mode", "inetdef", "--artifacts_dir", folder, *more]
        assert example.run(*words) == 0
    return folder


# -- commands


def lines(text: str) -> list[str]:
    """What was printed, with times taken out."""
    return [re.sub(r"[\d.]+ ms", "T", line) for line in text.splitlines()]


@pytest.mark.parametrize("mode", ["onnx", "inetdef"])
@pytest.mark.parametrize("autotune", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_impl(example, name, autotune, mode, capfd):
    more = ["--autotune"] * autotune + ["--multi_tactic"] * (name == "circ_pad")
    assert example.run(name, "--mode", mode, *more) == 0
    head, *rows = lines(capfd.readouterr().out)
    op = example.engine.SAMPLES[name].op
    host = "onnx's reference evaluator" if mode == "onnx" else "Python, call by call"
    assert head == f"{name}: impl of {op}, in {host}"
    assert [row.split()[0] for row in rows] == sorted(
        ["float32", "float16"][: 1 + autotune] * (2 if name == "circ_pad" else 1), reverse=True
    )
    assert all(": T, ok" in row for row in rows)
    if name == "circ_pad":
        assert [row.partition("ok ")[2] for row in rows] == ["tactic TORCH", "tactic TRITON"] * (1 + autotune)


@pytest.mark.parametrize("mode", ["onnx", "inetdef"])
@pytest.mark.parametrize("name", SAMPLES)
def test_engines(example, engines, name, mode, capfd):
    capfd.readouterr()
    assert example.run(name, "--load_engine", "--mode", mode, "--artifacts_dir", engines) == 0
    head, *rows = lines(capfd.readouterr().out)
    assert head == f"{name}: engine in {'ONNX Runtime' if mode == 'onnx' else 'Python, call by call'}"
    assert [row.split()[0] for row in rows] == ["float32", "float16"]
    assert all(row.endswith(": T, ok") for row in rows)
    shared = name == "inplace_add" and mode == "inetdef"
    assert all(("in the memory of x" in row) == shared for row in rows)


def test_ahead_of_time(example, capfd):
    """Without --save_engine nothing is kept."""
    before = set(ROOT.glob("build/qdp/*"))
    assert example.run("add", "--aot", "-v") == 0
    assert lines(capfd.readouterr().out) == [
        "  definitions", "  operators", "  TTIR of 3 kernels", "  plugin",
        "add: aot_impl of sample::elemwise_add_plugin, 3 kernels, built in T",
        "add: engine in ONNX Runtime", "  float32 (10, 3, 32, 32) -> (10, 3, 32, 32): T, ok",
    ]  # fmt: skip
    assert set(ROOT.glob("build/qdp/*")) == before


def test_a_saved_engine_replaces_the_one_before(example, engines, tmp_path, capfd):
    folder = tmp_path / "new/folder"
    for more, models in ((["--autotune"], {"add_float32.onnx", "add_float16.onnx"}), ([], {"add_float32.onnx"})):
        assert example.run("add", "--aot", "--save_engine", "--artifacts_dir", folder, *more) == 0
        assert {path.name for path in folder.iterdir()} == {"libadd.so", *models}
    assert opwright.load(folder / "libadd.so").elemwise_add_plugin.dtypes == [("f32", "f32")]
    assert f"engine: {folder}: add_float32.onnx, libadd.so" in capfd.readouterr().out


def test_an_engine_needs_neither_definitions_nor_triton(engines):
    code = f"""
import runpy, sys
sys.path.insert(0, {str(EXAMPLE)!r})

class Blocked:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("definitions", "model", "triton", "torch") or name.startswith("opwright.plugin"):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
for name in {SAMPLES!r}:
    for mode in ("onnx", "inetdef"):
        sys.argv = ["run.py", name, "--load_engine", "--mode", mode, "--artifacts_dir", {str(engines)!r}]
        try:
            runpy.run_path({str(EXAMPLE / "run.py")!r}, run_name="__main__")
        except SystemExit as e:
            assert e.code == 0, (name, mode)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(", ok\n") == 2 * 2 * len(SAMPLES)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["add", "--multi_tactic"], "--multi_tactic: add has one tactic, circ_pad has two"),
        (["add", "--save_engine"], "--save_engine needs --aot: an engine is a model and a library, and impl is in neither"),
        (["add", "--aot", "--save_engine", "--load_engine"], "not allowed with argument --save_engine"),
        (["add", "--load_engine", "--autotune"], "an engine has what it was saved with"),
        (["circ_pad", "--load_engine", "--multi_tactic"], "an engine has what it was saved with"),
        (["add", "--aot", "--artifacts_dir", "here"], "--artifacts_dir needs --save_engine or --load_engine"),
        (["sub"], "invalid choice: 'sub'"),
    ],
)  # fmt: skip
def test_flags_that_make_no_sense(example, words, text, capfd):
    with pytest.raises(SystemExit) as caught:
        example.run(*words)
    assert caught.value.code == 2 and text in capfd.readouterr().err


def test_engines_that_are_not_there(example, engines, tmp_path, capfd):
    assert example.run("add", "--load_engine", "--artifacts_dir", tmp_path) == 1
    assert f"found no {tmp_path}/add_float32.onnx, expected an engine of 'add'" in capfd.readouterr().err
    shutil.copy(engines / "add_float32.onnx", tmp_path)
    assert example.run("add", "--load_engine", "--artifacts_dir", tmp_path) == 1
    assert f"found no {tmp_path}/libadd.so, expected an engine of 'add'; to save one: run.py" in capfd.readouterr().err
    assert example.run("add", "--aot", "--save_engine", "--artifacts_dir", "/proc/nothing") == 1
    assert capfd.readouterr().err.startswith("error: ")


def test_wrong_results_are_told(example, capfd):
    assert example.module.check("add", "float32", lambda x: (x + 1,))
    for wrong in (x for x in (lambda x: (x + 2,), lambda x: (x.astype(np.float64) + 1,), lambda x: (x + 1, x))):
        assert not example.module.check("add", "float32", wrong)
    assert [line.rpartition(", ")[2] for line in capfd.readouterr().out.splitlines()] == ["ok", *["WRONG"] * 3]


@pytest.mark.parametrize("pads", [[1, 0], [0, 2, 3, 0], [9, 1, 0, 7, 2, 2, 1, 1]])
def test_pads_of_any_size(example, pads):
    """The kernel wraps around as often as it takes; torch does so once."""
    x = np.arange(2 * 1 * 3 * 4, dtype=np.float32).reshape(2, 1, 3, 4)
    sys.modules.pop("definitions", None)
    with collected():
        definitions = importlib.import_module("definitions")
        definitions.autotune_circ_pad("FP32", list(definitions.Tactic))
        found = trtp.call("sample::circ_pad_plugin", x, pads=pads, tactic=definitions.Tactic.TRITON)
    pairs = [(0, 0)] * (4 - len(pads) // 2) + [*zip(pads[::2], pads[1::2], strict=True)][::-1]
    np.testing.assert_array_equal(found, np.pad(x, pairs, mode="wrap"))


# -- faces: what each gives for an operator, on the input of its sample

Face = Callable[[Path, str, np.ndarray, dict], tuple]


def in_onnxruntime(library, op, x, attributes):
    import onnxruntime
    from onnx import helper

    domain, _, name = op.partition("::")
    outputs = ["y", "count"] if name == "non_zero_plugin" else ["y"]
    given = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
    found = [helper.make_empty_tensor_value_info(output) for output in outputs]
    graph = helper.make_graph(
        [helper.make_node(name, ["x"], outputs, domain=domain, **attributes)], "g", [given], found
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return tuple(session.run(None, {"x": x}))


def in_python(library, op, x, attributes):
    found = opwright.load(library)[op](x, **attributes)
    return found if isinstance(found, tuple) else (found,)


def in_tvm_ffi(library, op, x, attributes):
    """Outputs are the caller's: as large as they may be, where their size depends on the data."""
    import tvm_ffi

    shapes = {"non_zero_plugin": [((x.size, 2), np.int32), ((), np.int64)]}
    pads = attributes.get("pads")
    like = tuple(size + 2 * bool(pads) * (axis > 1) for axis, size in enumerate(x.shape))
    outputs = [np.empty(*each) for each in shapes.get(op.partition("::")[2], [(like, x.dtype)])]
    tvm_ffi.load_module(str(library))[op.replace("::", "__")](x, *attributes.values(), *outputs)
    if len(outputs) > 1:
        outputs[0] = outputs[0][: int(outputs[1])]
    return tuple(outputs)


def in_c(library, op, x, attributes):
    return by_program(["cc", "-std=c11", "-Wpedantic", EXAMPLE / "main.c"], library, op, x, attributes)


def in_cpp(library, op, x, attributes):
    return by_program(["c++", "-std=c++17", EXAMPLE / "main.cpp"], library, op, x, attributes)


def by_program(command, library, op, x, attributes):
    """What a program of the example writes, compiled where it is not yet."""
    program = library.parent / command[0]
    if not program.exists():
        flags = ["-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", "-ldl", "-o", program]
        subprocess.run([*command, *flags], check=True)
    x.tofile(library.parent / "x.bin")
    words = [program, library, op, ",".join(map(str, x.shape)), library.parent / "x.bin", library.parent / "out"]
    for name, value in attributes.items():
        words.append(f"{name}={','.join(map(str, value if isinstance(value, list) else [value]))}")
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = []
    for number, line in enumerate(done.stdout.splitlines()):
        dtype = [np.int32, np.int64][number] if op.endswith("non_zero_plugin") else np.float32
        outputs.append(np.fromfile(f"{library.parent}/out.{number}", dtype).reshape([*map(int, line.split()[1:])]))
    for word, text in (("width=1", "width"), ("1", "expected NAME=VALUE")):
        done = subprocess.run([*map(str, words), word], capture_output=True, text=True)
        assert done.returncode == 1 and text in done.stderr
    return tuple(outputs)


FACES: dict[str, Face] = {
    "Python": in_python,
    "ONNX Runtime": in_onnxruntime,
    "TVM-FFI": in_tvm_ffi,
    "C": in_c,
    "C++": in_cpp,
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("face", FACES)
def test_faces(example, engines, face, name):
    sample = example.engine.SAMPLES[name]
    x = sample.data()
    found: tuple = (x,)
    for attributes in sample.nodes:
        found = FACES[face](example.engine.library_path(engines, name), sample.op, found[0], attributes)
    expected = sample.expected(x)
    assert len(found) == len(expected)
    for array, want in zip(found, expected, strict=True):
        assert array.dtype == want.dtype
        np.testing.assert_array_equal(array, want)


# -- the README


def test_readme(example, engines, tmp_path, monkeypatch, capfd):
    """Its blocks in order, in a copy of the example: Python goes into the file that it names, commands run."""
    from opwright.cli import app

    folder = tmp_path / "examples/qdp"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(engines, folder / "engines")
    (tmp_path / "include").symlink_to(ROOT / "include")
    monkeypatch.chdir(folder)
    text = Path("README.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1:]  # the first one: see below
    printed = ""
    for language, block in blocks:
        if language == "python":
            Path(re.match(r"# (\w+\.py)\n", block)[1]).write_text(block)
        elif language == "text":
            assert printed.endswith(block)
        for line in block.splitlines() if language == "sh" else []:
            capfd.readouterr()
            words = shlex.split(line)
            if words[:2] == ["python", "run.py"]:
                assert example.run(*words[2:]) == 0
            elif words[0] == "opwright":
                app(words[1:], standalone_mode=False)
            else:
                subprocess.run(line, shell=True, check=True, env=os.environ | {"PATH": path_of_python()})
            printed = capfd.readouterr().out
    subprocess.run([sys.executable, "use.py"], check=True)
    assert capfd.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", text, re.MULTILINE)


def path_of_python() -> str:
    """PATH on which `python` is this one."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_commands_of_the_readme(example, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    text = re.findall(r"^```sh\n(.*?)^```$", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    commands = [shlex.split(line, comments=True)[2:] for line in text.splitlines()]
    assert len(commands) == 10
    found = []
    for words in commands:
        assert example.run(*words) == 0, words
        found.append(lines(capfd.readouterr().out))
    assert sum(line.endswith(": T, ok") or ": T, ok tactic " in line for line in sum(found, [])) == 13
    tactics = found[commands.index(["circ_pad", "--aot", "--multi_tactic"])]
    assert tactics[1::3] == [
        f"tactic {name}, OPW_TACTIC=sample::circ_pad_plugin={number}:"
        for number, name in enumerate(("BLOCK_256", "BLOCK_1024"), 1)
    ]
