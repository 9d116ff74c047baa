"""The command line as users run it: exit codes, streams, JSON."""

import json
import os
import pkgutil
import subprocess
import sys

import pytest
from plugin_gen_kit import ADD, BROKEN, FakeCore, compile_fake_plugin, write_config

import opwright
from opwright import cli
from opwright.plugin_gen import build


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "opwright", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture
def main(root, monkeypatch, capsys):
    """Runs the command in this process, with the stand-in compiler."""
    monkeypatch.setattr(build, "import_core", lambda: FakeCore(root))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["opwright", *map(str, arguments)])
        with pytest.raises(SystemExit) as e:
            cli.main()
        streams = capsys.readouterr()
        return e.value.code or 0, streams.out, streams.err

    return call


def test_import_is_light_and_lazy():
    code = (
        "import sys, time; t = time.process_time(); import opwright; t = time.process_time() - t\n"
        "heavy = {'numpy', 'torch', 'triton', 'rich', 'typer', 'ctypes'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert t < 0.1, t\nassert callable(opwright.load) and 'numpy' in sys.modules\n"
        "assert opwright.__version__\n"
        "try: opwright.nothing\nexcept AttributeError as e: assert 'nothing' in str(e)\nelse: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_name_of_the_package_is_hidden_by_a_module_of_it():
    modules = {module.name for module in pkgutil.iter_modules(opwright.__path__)}
    assert len(modules) > 20 and not modules & set(opwright.__all__)


def test_plugin_gen(main, tmp_path):
    config = write_config(tmp_path / "src")
    code, out, err = main("plugin-gen", "--workspace", tmp_path / "w", "--kernel_config", config,
                          "--tensorrt_llm_include_path", "x", "--trt_lib_dir", "x", "--trt_include_dir", "x",
                          "--trt_llm_include_dir", "x")  # fmt: skip
    assert code == 0
    assert out.split("\n")[-3:-1] == [str(tmp_path / "w/output" / n) for n in ("libtriton_plugins.so", "functional.py")]
    assert "TTIR of 2 kernels (" in out and "total" in out and "link" in out
    assert "opwright: TTIR of 2 kernels" in err and "error" not in err


def test_json_is_one_object(main, tmp_path):
    config = write_config(tmp_path / "src", ADD)
    code, out, _ = main(
        "plugin-gen", "--workspace", tmp_path / "w", "--kernel-config", config, "--json", "--targets", "cpu:x86-64-v3"
    )
    report = json.loads(out)
    assert code == 0 and report["ops"] == ["triton::add_kernel"] and {"name", "ms"} == set(report["stages"][0])


def test_an_input_without_a_rule_is_warned_of(main, tmp_path):
    loose = ADD.replace('"x[m], y[m] -> out[m]"', '"x[m] -> out[m]"')
    code, _, err = main(
        "plugin-gen", "--workspace", tmp_path / "w", "--kernel-config", write_config(tmp_path / "src", loose)
    )
    assert code == 0
    assert "opwright: warning: kernel 'add_kernel': input 'y' is in no shape rule, so its size is not checked" in err
    code, _, err = main(
        "plugin-gen", "--workspace", tmp_path / "w", "--kernel-config", write_config(tmp_path / "src", ADD)
    )
    assert code == 0 and "warning" not in err


def test_recursion_is_named(main, tmp_path):
    config = write_config(tmp_path / "src", ADD)
    kernels = config.with_name("kernels.py")
    factorial = "@triton.jit\ndef factorial(n):\n    return n * factorial(n - 1)\n\n\n"
    text = kernels.read_text().replace("@triton.jit\ndef add_kernel", factorial + "@triton.jit\ndef add_kernel")
    kernels.write_text(text.replace("    mask = at < n\n", "    mask = at < factorial(n)\n"))
    code, _, err = main("plugin-gen", "--workspace", tmp_path / "w", "--kernel-config", config)
    assert code == 1
    assert "a function calls itself, directly or through others; expected no recursion: write it as a loop" in err


def test_refusals(tmp_path):
    config = write_config(tmp_path / "src", ADD)
    for arguments, code, message in (
        (["--workspace", tmp_path / "w", "--kernel_config", tmp_path / "none.py"], 1, "none.py' is not a file"),
        (
            ["--workspace", tmp_path / "w", "--kernel_config", config, "--targets", "cuda:sm_90"],
            1,
            "CUDA is not supported yet",
        ),
        (["--kernel_config", config], 2, "--workspace"),
        (["--workspace", tmp_path / "w", "--kernel_config", config, "--frob"], 2, "--frob"),
    ):
        done = run("plugin-gen", *arguments)
        assert done.returncode == code and message in done.stderr and done.stdout == "", done
    assert not (tmp_path / "w").exists()
    assert run("frob").returncode == 2


def test_a_kernel_that_triton_refuses(main, tmp_path):
    config = write_config(tmp_path / "src", ADD, BROKEN)
    code, out, err = main("plugin-gen", "--workspace", tmp_path / "w", "--kernel_config", config)
    assert code == 1 and out == "" and not list((tmp_path / "w").rglob("*.so"))
    assert "kernels.py:24: Triton refuses the kernel: arange's range must be a power of 2" in err
    assert "at = tl.arange(0, 100)" in err and "Traceback" not in err


def test_a_missing_package_and_a_bug(main, tmp_path, monkeypatch):
    (tmp_path / "c.py").write_text("import no_such_package_xyz\n")
    code, _, err = main("plugin-gen", "--workspace", tmp_path / "w", "--kernel_config", tmp_path / "c.py")
    assert code == 3 and "no_such_package_xyz" in err

    def broken(*_, **__):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(build, "plugin_gen", broken)
    code, _, err = main("plugin-gen", "--workspace", tmp_path / "w", "--kernel_config", tmp_path / "c.py")
    assert code == 70 and "this is a bug in Opwright" in err and "ZeroDivisionError: oops" in err


def test_inspect(root, tmp_path):
    compile_fake_plugin(root, tmp_path / "lib.so")
    done = run("inspect", tmp_path / "lib.so")
    assert done.returncode == 0 and "triton::scale_kernel(x, *, factor: float) -> out, sums" in done.stdout
    assert "types 0   x f16, out f16, sums f32" in done.stdout
    report = json.loads(run("inspect", tmp_path / "lib.so", "--json").stdout)
    assert report["abi"][0] == 0 and report["ops"][0]["signature"] == "triton::add_kernel(x, y) -> out"
    assert report["ops"][0]["dtypes"] == [["f32", "f32", "f32"]]
    (tmp_path / "cut.so").write_bytes((tmp_path / "lib.so").read_bytes()[:5000])
    done = run("inspect", tmp_path / "cut.so")
    assert done.returncode == 1 and "is cut short: found 5000 bytes" in done.stderr and "Traceback" not in done.stderr


def test_doctor_reports_a_missing_linker(tmp_path):
    env = {**os.environ, "PATH": str(tmp_path), "CC": ""}
    done = subprocess.run(
        [sys.executable, "-m", "opwright", "doctor", "--json"], capture_output=True, text=True, env=env, check=False
    )
    checks = {c["name"]: c for c in json.loads(done.stdout)}
    assert done.returncode == 3 and not checks["linker"]["ok"] and "apt install gcc" in checks["linker"]["text"]
    assert checks["numpy"]["ok"] and not checks["torch"]["needed"]
