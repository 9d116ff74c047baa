"""plugin-gen as a whole, with a stand-in for the native compiler: requests, workspaces, failures."""

import errno
import fcntl
import hashlib
import json
import os

import pytest
from plugin_gen_kit import ADD, BROKEN, KERNELS, SCALE, FakeCore, write_config

from opwright import workspace as workspaces
from opwright.errors import InputError, MissingError
from opwright.plugin_gen import build
from opwright.plugin_gen.build import plugin_gen
from opwright.plugin_gen.config import load_config
from opwright.plugin_gen.request import plan_kernels
from opwright.plugin_gen.variants import Variant
from opwright.workspace import parse_targets


@pytest.fixture
def core(root, monkeypatch):
    fake = FakeCore(root)
    monkeypatch.setattr(build, "import_core", lambda: fake)
    return fake


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_request(tmp_path, core):
    config = write_config(tmp_path / "src")
    report = plugin_gen(tmp_path / "w", config)
    (request,) = core.requests
    assert json.loads((tmp_path / "w/request.json").read_text()) == request
    kernels = {k["id"]: k for k in request.pop("kernels")}
    assert list(kernels) == ["add_kernel.v0", "add_kernel.v1", "add_kernel.v2", "scale_kernel.v0", "scale_kernel.v1"]
    for kernel in kernels.values():
        text = (tmp_path / "w" / kernel["ttir"]).read_bytes()
        assert kernel["sha256"] == hashlib.sha256(text).hexdigest()
    line = 1 + KERNELS[: KERNELS.index("def scale_kernel")].count("\n")
    assert {k: v for k, v in kernels["scale_kernel.v1"].items() if k != "sha256"} == {
        "id": "scale_kernel.v1", "name": "scale_kernel", "file": "kernels.py", "line": line, "ttir": "scale_kernel/v1.ttir",
        "params": [{"kind": "pointer"}] * 3 + [{"kind": "scalar", "dtype": "f32"}, {"kind": "scalar", "dtype": "i32"}],
    }  # fmt: skip
    assert request == {
        "opwright": 1, "library": "libtriton_plugins.so", "namespace": "triton", "faces": ["c", "onnxruntime", "tvmffi"],
        "targets": {"cpu": ["x86-64-v3", "x86-64-v4"]},
        "ops": [
            {"name": "add_kernel", "version": 1, "doc": "Adds two vectors.",
             "inputs": [{"name": "x", "type": "f32", "rank": 1}, {"name": "y", "type": "f32", "rank": 1}],
             "outputs": [{"name": "out", "type": "f32", "shape": ["x.0"]}], "attrs": [], "vars": [["n", "x.0"]],
             "valid": "x.0 == y.0", "valid_text": "the sizes do not fit x[m], y[m]",
             "plans": [{"combo": 0, "device": "cpu", "tactic": 1, "launches": [
                 {"grid": ["(n + 1023) // 1024", "1", "1"], "args": ["ptr x", "ptr y", "ptr out", "var n"],
                  "variants": [{"guards": ["arg 0..3 % 16 == 0"], "kernel": "add_kernel.v0"},
                               {"guards": ["arg 0..2 % 16 == 0"], "kernel": "add_kernel.v1"},
                               {"kernel": "add_kernel.v2"}]}]}]},
            {"name": "scale_kernel", "version": 1, "doc": "", "inputs": [{"name": "x", "type": "f16", "rank": 1}],
             "outputs": [{"name": "out", "type": "f16", "shape": ["x[0:]"]},
                         {"name": "sums", "type": "f32", "shape": ["cdiv(x.0, 128)"]}],
             "attrs": [{"name": "factor", "kind": "float"}], "vars": [["n", "x.0"]],
             "plans": [{"combo": 0, "device": "cpu", "tactic": 1, "launches": [
                 {"grid": ["cdiv(n, 128)"], "args": ["ptr out", "ptr sums", "ptr x", "attr factor", "var n"],
                  "variants": [{"guards": ["arg 0..2 % 16 == 0"], "kernel": "scale_kernel.v0"},
                               {"kernel": "scale_kernel.v1"}]}]}]},
        ],
    }  # fmt: skip
    assert report.ops == ["triton::add_kernel", "triton::scale_kernel"]
    assert [name for name, _ in report.stages][-2:] == ["objects", "link"]
    assert report.library == tmp_path / "w/output/libtriton_plugins.so" and report.library.is_file()


def test_ttir_has_the_hints(tmp_path, core):
    plugin_gen(tmp_path / "w", write_config(tmp_path / "src", ADD))
    marked = [(tmp_path / f"w/add_kernel/v{i}.ttir").read_text().count("tt.divisibility = 16") for i in range(3)]
    assert marked == [4, 3, 0]
    text = (tmp_path / "w/add_kernel/v0.ttir").read_text()
    assert 'loc("kernels.py":' in text and str(tmp_path) not in text and "tt.func public @add_kernel" in text


def test_an_integer_equal_to_one_is_dropped(tmp_path, core):
    plugin_gen(tmp_path / "w", write_config(tmp_path / "src", ADD.replace('["", "16"]', '["1", "16"]')))
    request = core.requests[0]
    launch = request["ops"][0]["plans"][0]["launches"][0]
    assert launch["variants"][0] == {"guards": ["arg 0..2 % 16 == 0", "arg 3 == 1"], "kernel": "add_kernel.v0"}
    assert request["kernels"][0]["params"][3] == {"kind": "dropped"}
    function = (tmp_path / "w/add_kernel/v0.ttir").read_text().split("tt.func")[1].split("attributes")[0]
    assert function.count("!tt.ptr") == 3 and ": i32 loc" not in function


def test_variant_guards():
    assert Variant((0, 1, 2, 5, 7, 8), (9,)).guards() == [
        "arg 0..2 % 16 == 0", "arg 5 % 16 == 0", "arg 7..8 % 16 == 0", "arg 9 == 1",
    ]  # fmt: skip
    assert Variant().guards() == []


def test_the_same_bytes_from_two_places(tmp_path, core):
    for name in ("one", "another/deeper"):
        plugin_gen(tmp_path / name / "w", write_config(tmp_path / name / "src"))
    assert core.requests[0] == core.requests[1]
    first, second = (tree(tmp_path / name / "w") for name in ("one", "another/deeper"))
    del first["output/libtriton_plugins.so"], second["output/libtriton_plugins.so"]
    assert first == second and len(first) == 7


def test_only_the_workspace_changes(tmp_path, core, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "XDG_CACHE_HOME", "TRITON_HOME", "TRITON_CACHE_DIR", "TMPDIR"):
        monkeypatch.setenv(name, str(home))
    config = write_config(tmp_path / "src")
    before = tree(tmp_path / "src")
    plugin_gen(tmp_path / "w", config)
    assert tree(tmp_path / "src") == before and not list(home.iterdir())
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == [
        "add_kernel",
        "output",
        "request.json",
        "scale_kernel",
    ]


def test_building_again_removes_old_variants(tmp_path, core):
    plugin_gen(tmp_path / "w", write_config(tmp_path / "src", ADD))
    (tmp_path / "w/add_kernel/notes.txt").write_text("mine")
    plugin_gen(tmp_path / "w", write_config(tmp_path / "src", ADD.replace(', hints=["", "16"]', "")))
    assert sorted(os.listdir(tmp_path / "w/add_kernel")) == ["notes.txt", "v0.ttir", "v1.ttir"]


@pytest.mark.parametrize(
    ("fault", "message", "kind"),
    [
        ("core", "unknown operation tt.frob", InputError),
        ("disk", "cannot be written: No space left on device", InputError),
        ("triton", "kernels.py:24: Triton refuses the kernel: arange's range must be a power of 2", InputError),
        ("linker", "found no linker", MissingError),
        ("bug", "oops", ZeroDivisionError),
    ],
)
def test_a_failure_leaves_the_previous_output(tmp_path, core, fault, message, kind):
    plugin_gen(tmp_path / "w", write_config(tmp_path / "src"))
    before = tree(tmp_path / "w/output")
    config = write_config(tmp_path / "src", ADD, *([BROKEN] if fault == "triton" else []))

    core.error = {
        "core": core.CompileError("k.py:3:1: error: unknown operation tt.frob"),
        "disk": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        "linker": core.MissingToolError("error: found no linker, expected $CC, cc or clang"),
        "bug": ZeroDivisionError("oops"),
    }.get(fault)
    with pytest.raises(kind) as e:
        plugin_gen(tmp_path / "w", config)
    assert message in str(e.value)
    assert tree(tmp_path / "w/output") == before
    core.error = None
    plugin_gen(tmp_path / "w", write_config(tmp_path / "src", ADD))
    assert tree(tmp_path / "w/output") != before


def test_a_first_failure_leaves_no_library(tmp_path, core):
    core.error = core.CompileError("no")
    with pytest.raises(InputError):
        plugin_gen(tmp_path / "w", write_config(tmp_path / "src"))
    assert not tree(tmp_path / "w/output")


def test_workspaces_that_cannot_be_used(tmp_path, core, monkeypatch):
    config = write_config(tmp_path / "src", ADD)
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "w"):
        with pytest.raises(InputError, match="cannot be written.*(File exists|Not a directory)"):
            plugin_gen(bad, config)
    (tmp_path / "w1").mkdir()
    (tmp_path / "w1/output").write_text("a file")
    with pytest.raises(InputError, match="is in the way: expected a folder"):
        plugin_gen(tmp_path / "w1", config)
    (tmp_path / "w2/add_kernel").mkdir(parents=True)
    (tmp_path / "w2/add_kernel/v0.ttir").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        plugin_gen(tmp_path / "w2", config)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x")

    monkeypatch.setattr(workspaces.tempfile, "mkstemp", refuse)
    with pytest.raises(InputError, match="cannot be written.*Permission denied"):
        plugin_gen(tmp_path / "w3", config)


def test_a_killed_build_is_cleaned_up(tmp_path, core):
    workspace = tmp_path / "w"
    (workspace / "output").mkdir(parents=True)
    (workspace / "add_kernel").mkdir()
    (workspace / ".build-abcdef").mkdir()
    temporaries = (
        ".request.json.abc",
        "output/.functional.py.abc",
        "add_kernel/.v0.ttir.abc",
        "add_kernel/.add.0.ttir.abc",
    )
    for left in (".build-abcdef/k0.o", *temporaries):
        (workspace / left).write_text("half")
    (workspace / "add_kernel/v0.ttir").write_text("half")
    plugin_gen(workspace, write_config(tmp_path / "src", ADD))
    assert not [p for p in tree(workspace) if "/." in f"/{p}"]


def test_one_build_at_a_time(tmp_path, core):
    config = write_config(tmp_path / "src", ADD)
    (tmp_path / "w").mkdir()
    handle = os.open(tmp_path / "w", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another build is running"):
        plugin_gen(tmp_path / "w", config)
    os.close(handle)
    plugin_gen(tmp_path / "w", config)


def test_targets_and_namespace(tmp_path, core):
    assert parse_targets("cpu:x86-64-v4, cpu:x86-64-v3") == ["x86-64-v3", "x86-64-v4"]
    for bad in ("cuda:sm_80", "cpu", "cpu:x86-64-v2", "", ","):
        with pytest.raises(InputError, match="cpu:x86-64-v3"):
            parse_targets(bad)
    with pytest.raises(InputError, match="target 'cpu:aarch64': plugins for aarch64 are not supported yet"):
        parse_targets("cpu:x86-64-v3,cpu:aarch64")
    config = write_config(tmp_path / "src", ADD)
    with pytest.raises(InputError, match="namespace 'a::b'"):
        plugin_gen(tmp_path / "w", config, "a::b")
    plugin_gen(tmp_path / "w", config, "mine", ["x86-64-v3"])
    assert core.requests[-1]["namespace"] == "mine" and core.requests[-1]["targets"] == {"cpu": ["x86-64-v3"]}
    assert 'Operator(\n    _LIBRARY,\n    "mine"' in (tmp_path / "w/output/functional.py").read_text().replace(
        "_LIBRARY, ", "_LIBRARY,\n    "
    )


def test_sign_of_a_parameter_in_a_grid(tmp_path):
    config = write_config(
        tmp_path,
        SCALE.replace('ParamArg("factor", Type("fp32"))', 'ParamArg("factor", Type("i32"))').replace(
            "cdiv(n, BLOCK)", "factor / 4"
        ),
    )
    (plan,) = plan_kernels(load_config(config), config)
    assert plan.grid == ["(1 - 2 * ((factor < 0) != (4 < 0))) * (abs(factor) // abs(4))"]
    config = write_config(tmp_path, SCALE.replace("cdiv(n, BLOCK)", "factor"))
    with pytest.raises(InputError, match="found 'factor', which is fp32"):
        plan_kernels(load_config(config), config)


PLUGINGENS_EXAMPLE = """
block_size = 128
KERNELS = [KernelMetaData(
    kernel_name='fused_attention_kernel',
    ios=[
        OutputArg('Out', Type('tensor[fp16]'), hints=['16', '16']),
        OutputArg('L', Type('tensor[fp32]'), hints=['16', '16']),
        OutputArg('M', Type('tensor[fp16]'), hints=['16', '16']),
        InputArg('Q', Type('tensor[fp16]'), hints=['16', '16']),
        InputArg('K', Type('tensor[fp16]'), hints=['16', '16']),
        InputArg('V', Type('tensor[fp16]'), hints=['16', '16']),
        ParamArg('sm_scale', Type('fp32')),
        DimSizeArg('batch_size'),
        ParamArg('num_heads', Type('i32')),
        DimSizeArg('seq_len', hints=['', '16']),
        Constexpr(block_size), Constexpr(64), Constexpr(block_size),
    ],
    shape_infer_rules=['Q[*] -> Out[*]', 'Q[m,n,k,*] -> L[m,n,k]', 'Q[m,n,k,*] -> M[m,n,k]',
                       'Q[m,n,k,*] : m -> batch_size', 'Q[m,n,k,*] : k -> seq_len'],
    version=0, kernel_file=f'{os.path.dirname(__file__)}/fmha.py', num_warps=1,
    grid_dims=("(seq_len + 127) / 128", "batch_size * num_heads", "1"))]
"""

PLUGINGENS_KERNEL = """
import triton
import triton.language as tl


@triton.jit
def fused_attention_kernel(Out, L, M, Q, K, V, sm_scale, batch_size, num_heads, seq_len,
                           BLOCK_M: tl.constexpr, BLOCK_DMODEL: tl.constexpr, BLOCK_N: tl.constexpr):
    at = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    first = tl.program_id(1) * seq_len
    x = tl.load(Q + first + at, at < seq_len) + tl.load(K + first + at, at < seq_len) * tl.load(V + first + at, at < seq_len)
    for out in tl.static_range(1):
        tl.store(Out + first + at, (x * sm_scale).to(tl.float16), at < seq_len)
    tl.store(L + first + at, x.to(tl.float32), at < seq_len)
    tl.store(M + first + at, x * (batch_size + num_heads), at < seq_len)
"""


def test_an_original_configuration_runs_unchanged(tmp_path, core):
    (tmp_path / "fmha.py").write_text(PLUGINGENS_KERNEL)
    config = tmp_path / "kernel_config.py"
    config.write_text("import os\n\nfrom tensorrt_llm.tools.plugin_gen.core import *\n" + PLUGINGENS_EXAMPLE)
    report = plugin_gen(tmp_path / "w", config)
    (op,) = core.requests[0]["ops"]
    assert op["inputs"] == [
        {"name": "Q", "type": "f16", "rank": [3, 16]}, {"name": "K", "type": "f16", "rank": [0, 16]},
        {"name": "V", "type": "f16", "rank": [0, 16]},
    ]  # fmt: skip
    assert op["outputs"][1] == {"name": "L", "type": "f32", "shape": ["Q.0", "Q.1", "Q.2"]}
    assert op["vars"] == [["batch_size", "Q.0"], ["seq_len", "Q.2"]] and "valid" not in op and op["version"] == 1
    assert op["attrs"] == [{"name": "sm_scale", "kind": "float"}, {"name": "num_heads", "kind": "int"}]
    (launch,) = op["plans"][0]["launches"]
    assert launch["grid"] == ["(seq_len + 127) // 128", "batch_size * num_heads", "1"]
    assert launch["args"] == ["ptr Out", "ptr L", "ptr M", "ptr Q", "ptr K", "ptr V", "attr sm_scale", "var batch_size",
                              "attr num_heads", "var seq_len"]  # fmt: skip
    assert [v.get("guards") for v in launch["variants"]] == [
        ["arg 0..5 % 16 == 0", "arg 9 % 16 == 0"], ["arg 0..5 % 16 == 0"], None,
    ]  # fmt: skip
    signature = "def fused_attention_kernel(sm_scale: float, num_heads: int, Q: Array, K: Array, V: Array)"
    assert signature + " -> tuple[Array, Array, Array]:" in report.functional.read_text()
