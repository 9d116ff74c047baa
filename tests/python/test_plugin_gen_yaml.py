"""Configurations in YAML: the same kernels as in Python, and the place of everything that is wrong in one."""

import json
import os
import random
import subprocess
import sys

import pytest
from plugin_gen_kit import ADD, KERNELS, SCALE, FakeCore, write_config

from opwright.errors import InputError, MissingError
from opwright.plugin_gen import build, core, yaml_form
from opwright.plugin_gen.config import check_kernel, load_config
from opwright.plugin_gen.core import Constexpr, DimSizeArg, InputArg, KernelMetaData, OutputArg, ParamArg, Type
from opwright.plugin_gen.request import plan_kernels
from opwright.plugin_gen.rules import parse_rules, solve

YAML = """\
- name: add_kernel
  kernel_file: kernels.py
  arguments:
    x: {dtype: "tensor[fp32]"}
    y: {dtype: "tensor[fp32]"}
    out: {dtype: "tensor[fp32]", arg_type: OUTPUT}
    n: {arg_type: DIM_SIZE, hints: ["", 16]}
    BLOCK: {value: 1024}
  shape_infer_rules:
    - x[m], y[m] -> out[m]
    - "x[m] : m -> n"
  grid_dims: [(n + 1023) / 1024, 1, 1]
- name: scale_kernel
  kernel_file: kernels.py
  version: 0
  num_warps: 4
  num_stages: 2
  arguments:
    out: {dtype: "tensor[fp16]", arg_type: OUTPUT}
    sums:
      dtype: tensor[fp32]
      arg_type: OUTPUT
    x: {dtype: "tensor[fp16]"}
    factor: {dtype: fp32, arg_type: PARAM}
    n: {arg_type: DIM_SIZE}
    c: {value: 128}
  shape_infer_rules: ["x[*] -> out[*]", "x[m] -> sums[m /// 128]", "x[m]: m -> n"]
  grid_dims: ["cdiv(n, BLOCK)"]
"""

# What PluginGen's own to_yaml writes: Python's tags, sorted keys, the rules under their other name, no file.
PLUGINGENS = """\
arguments: !!python/object/apply:collections.OrderedDict
- - - x
    - arg_type: INPUT
      dtype: tensor[fp32]
      hints: []
      is_input: true
      name: x
      offset: 0
  - - out
    - arg_type: OUTPUT
      dtype: tensor[fp32]
      hints: []
      is_input: false
      name: out
      offset: 0
  - - constexpr_0
    - value: 64
grid_dims: !!python/tuple
- '1'
- '1'
- '1'
name: copy_kernel
shape_deduce:
- x[*] -> out[*]
version: 0
"""


@pytest.fixture
def fake(root, monkeypatch):
    fake = FakeCore(root)
    monkeypatch.setattr(build, "import_core", lambda: fake)
    return fake


def write_yaml(folder, text=YAML):
    (folder / "kernels.py").write_text(KERNELS)
    path = folder / "kernels.yaml"
    path.write_text(text)
    return path


def test_both_forms_give_the_same_request(tmp_path, fake):
    build.plugin_gen(tmp_path / "w1", write_config(tmp_path / "src", ADD, SCALE))
    build.plugin_gen(tmp_path / "w2", write_yaml(tmp_path / "src"))
    assert fake.requests[0] == fake.requests[1]
    documents = YAML.replace("- name", "---\n  name").replace("\n  ", "\n")
    build.plugin_gen(tmp_path / "w3", write_yaml(tmp_path / "src", documents))
    assert fake.requests[0] == fake.requests[2]


def test_what_plugingen_writes_is_read():
    kernel = KernelMetaData.load_from_yaml(yaml_str=PLUGINGENS)
    tensor = Type("tensor[fp32]")
    assert kernel == KernelMetaData(
        "copy_kernel", [InputArg("x", tensor), OutputArg("out", tensor), Constexpr(64)], ["x[*] -> out[*]"], 0
    )
    with pytest.raises(InputError, match="kernel_file is ''"):
        check_kernel(kernel)
    for old, new, message in (
        ("- - - x\n", "- x\n- - - x\n", "<yaml>:2:3: the arguments is 'x', expected a list"),
        ("    - value: 64", "", "<yaml>:16:5: found a list of 1, expected a name and what it is"),
    ):
        assert old in PLUGINGENS
        with pytest.raises(InputError) as e:
            KernelMetaData.load_from_yaml(yaml_str=PLUGINGENS.replace(old, new))
        assert message in str(e.value)


def test_no_object_is_made_of_a_tag(tmp_path):
    trap = f"name: !!python/object/apply:os.system ['touch {tmp_path}/made']\narguments: {{}}\n"
    with pytest.raises(InputError, match="name is a list, expected a text"):
        KernelMetaData.load_from_yaml(yaml_str=trap)
    value = f"name: k\narguments: {{C: {{value: !!python/object/apply:os.system ['touch {tmp_path}/made']}}}}\n"
    with pytest.raises(InputError, match="the value of 'C' is a list"):
        KernelMetaData.load_from_yaml(yaml_str=value)
    assert not list(tmp_path.iterdir())


def test_round_trip(tmp_path):
    kernel = KernelMetaData(
        "k",
        [
            OutputArg("out", Type("tensor[bf16]"), hints=["16", ""]), Constexpr(True), InputArg("no", Type("tensor[bool]")),
            Constexpr(0.1), ParamArg("p", Type("u8"), default=7), ParamArg("q", Type("fp64"), default=float("inf")),
            DimSizeArg("on", hints=["1", "16"]), DimSizeArg("n", dtype="i64"), InputArg("constexpr_9", Type("fp16")),
            Constexpr("12: x # no"), Constexpr(None), Constexpr("true"), Constexpr(-3),
        ],
        ["no[*] -> out[*]", "no[m] : m /// 128 -> n", "no[m] : m % 3 -> on"], 3, "folder/k.py", 8, 5,
        ("n < 4 ? 1 : 'x'", "on", "2"),
    )  # fmt: skip
    text = kernel.to_yaml()
    assert KernelMetaData.load_from_yaml(yaml_str=text) == kernel
    (tmp_path / "k.yaml").write_text(text)
    again = KernelMetaData.load_from_yaml(tmp_path / "k.yaml")
    assert again == kernel and again.to_yaml() == text
    assert [type(io).__name__ for io in again.ios] == [type(io).__name__ for io in kernel.ios]
    with pytest.raises(InputError, match=r"ios\[0\] is Constexpr\(\(1, 2\)\), which YAML has no word for"):
        KernelMetaData("k", [Constexpr((1, 2))]).to_yaml()


def test_merged_mappings_and_anchors():
    text = """
- &base
  name: a
  arguments: {x: &t {dtype: "tensor[fp32]"}, y: {<<: *t, arg_type: OUTPUT}}
  shape_infer_rules: ["x[*] -> y[*]"]
- {<<: *base, name: b, num_warps: 2}
"""
    first, second = yaml_form.load_kernels(text, "f.yaml")
    assert (first.kernel_name, second.kernel_name, second.num_warps) == ("a", "b", 2) and first.ios == second.ios
    assert first.ios[1] == OutputArg("y", Type("tensor[fp32]"))


def test_triton_signatures():
    tensor = Type("tensor[fp16]")
    kernel = KernelMetaData(ios=[OutputArg("o", tensor, hints=["16", "16"]), ParamArg("s", Type("fp32")),
                                 DimSizeArg("n", hints=["", "16"]), Constexpr(128), Constexpr("x")])  # fmt: skip
    assert kernel.to_triton_signatures() == ["*fp16:16, fp32, i32, 128, x", "*fp16:16, fp32, i32:16, 128, x"]
    assert KernelMetaData(ios=[InputArg("x", Type("bool"))]).to_triton_signatures() == ["i1"]
    assert Type("i32").is_scalar and Type.float16() == Type("fp16") and Type("tensor[fp16]").dtype is core.DType.FP16
    assert InputArg("x", tensor, 0, ["16"]) == InputArg("x", tensor, hints=("16",))
    assert core.Argument.ArgType.DIM_SIZE is core.ArgType.DIM_SIZE


# what is replaced in YAML, by what, the message, and where: line and column
BAD = [
    ("  version: 0\n", "  version: 0\n  versoin: 1\n", "found the key 'versoin', expected one of name", "16:3"),
    ("version: 0", "version: '0'", "version is '0', expected a whole number from 0", "15:12"),
    ("version: 0", "version: [0]", "version is a list, expected a number", "15:12"),
    ("version: 0", "version: 2026-01-01", "version is '2026-01-01', expected a number", "15:12"),
    ("num_warps: 4", "num_warps: 3", "num_warps is 3, expected a power of 2", "16:14"),
    ("- name: scale_kernel\n  ", "- ", "the kernel has no 'name'", "13:3"),
    ("name: scale_kernel", "name: {}", "name is a mapping, expected a text", "13:9"),
    ("name: scale_kernel", "name:", "name is nothing, expected a text", "13:8"),
    ("name: scale_kernel", "name: 9x", "kernel_name is '9x', expected a Python identifier", "13:9"),
    ("name: scale_kernel", "name: add_kernel", "KERNELS[0] and KERNELS[1] are both named 'add_kernel'", "13:9"),
    ("    sums:\n", "    x: {value: 1}\n    sums:\n", "'x' is there twice", "24:5"),
    ("kernel_file: kernels.py\n  version", "kernel_file: other.py\n  version", "other.py' is not a file", "14:16"),
    ("{dtype: fp32, arg_type: PARAM}", "fp32", "found 'fp32', expected a mapping: argument 'factor'", "24:13"),
    ("{dtype: fp32, arg_type: PARAM}", "{arg_type: PARAM}", "argument 'factor' has no dtype", "24:13"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp31, arg_type: PARAM}", "Type('fp31'), column 1: found 'fp31'", "24:21"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp32, arg_type: param}", "arg_type of 'factor' is 'param'", "24:37"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp32, default: 2}", "found a default of 'factor', which is INPUT", "24:36"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp32, arg_type: PARAM, default: x}", "has the default 'x', expected fp32", "24:13"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp32, name: other}", "argument 'factor' has the name 'other'", "24:33"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp32, hints: 16}", "hints is '16', expected a list", "24:34"),
    ("{dtype: fp32, arg_type: PARAM}", "{dtype: fp32, hints: ['16']}", "hint '16' of 'factor', which is fp32", "24:13"),
    ("{value: 128}", "{value: 128, dtype: i32}", "found the key 'dtype', expected one of value", "26:21"),
    ("{value: 128}", "{value: 2026-01-01}", "the value of 'c' is '2026-01-01', expected a number", "26:16"),
    ("{dtype: \"tensor[fp16]\"}", "{dtype: tensor[fp16]}", "this is no YAML", "23:22"),
    ('"x[m]: m -> n"]', "3, {a: b}]", "shape rule 4 is a mapping, expected a text", "27:71"),
    ('"x[m]: m -> n"]', "x[m]: m -> n]", "this is no YAML", "27:69"),
    ("x[m], y[m] -> out[m]", "x[m]: y[m] -> out[m]", "shape rule 1 is a mapping, expected a text", "10:7"),
    ("x[m], y[m] -> out[m]", "x[m], y[m] -> out[q]", "shape rule 1, column 19: size 'q' is not defined", "10:7"),
    ('"x[m] : m -> n"', '"x[m] : m -> k"', "shape rule 2, column 13: found 'k', expected a DimSizeArg", "11:7"),
    ("[(n + 1023) / 1024, 1, 1]", "[(n + 1023) / 1024, 1, n +]", "grid_dims[2], column 4: found the end", "12:37"),
    ("[(n + 1023) / 1024, 1, 1]", "n", "grid_dims is 'n', expected a list", "12:14"),
    ("[(n + 1023) / 1024, 1, 1]", "[1, 1, 1, 1]", "grid_dims is ('1', '1', '1', '1'), expected one to three", "12:14"),
    ("  num_stages: 2", "\tnum_stages: 2", "this is no YAML", "17:1"),
    ("shape_infer_rules: [", "shape_deduce: []\n  shape_infer_rules: [", "found shape_deduce beside shape_infer_rules", "27:17"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message", "place"), BAD)
def test_refused(tmp_path, old, new, message, place):
    assert YAML.count(old) == 1
    path = write_yaml(tmp_path, YAML.replace(old, new))
    with pytest.raises(InputError) as e:
        plan_kernels(load_config(path), path)
    assert message in str(e.value)
    assert str(e.value).startswith(f"{path}:{place}: "), str(e.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no kernel"),
        ("[]", "found no kernel"),
        ("3", "f.yaml:1:1: found '3', expected a mapping: a kernel"),
        ("[[]]", "f.yaml:1:2: found a list, expected a mapping: a kernel"),
        ("a: *b", "f.yaml:1:4: this is no YAML: found undefined alias 'b'"),
        ("&a {name: *a, arguments: *a}", "name is a mapping"),
        ("name: k\narguments: {[1]: 2}", "f.yaml:2:13: found a list, expected a name"),
        ("[" * 3000, "nested too deeply"),
        ("name: \x07", "this is no YAML"),
        ("name: k\narguments: {a: {value: 1}", "f.yaml:2:26: this is no YAML"),
    ],
)
def test_texts_refused(text, message):
    with pytest.raises(InputError) as e:
        yaml_form.load_kernels(text, "f.yaml")
    assert message in str(e.value), str(e.value)


def test_damaged_texts_are_read_or_refused():
    """Never another error, whatever is cut out or put in."""
    rng = random.Random(5)
    pieces = ["[", "]", "{", "}", ":", "*", "&a ", "*a", "<<: *a", "- ", "\n", "\n  ", '"', "'", "!!python/tuple ", "!!int ", "|", "#",
              ",", "?", "~", "-1", ".inf", "2026-01-01", "tensor[fp32]", "x", "\t", "%", "@", "\x00", "ä", "---", "!<"]  # fmt: skip
    read = 0
    for _ in range(600):
        text = rng.choice([YAML, PLUGINGENS])
        for _ in range(rng.randint(1, 3)):
            at, cut = rng.randrange(len(text)), rng.choice([0, 0, 1, 3, 10])
            text = text[:at] + rng.choice(pieces) + text[at + cut :]
        try:
            for kernel in yaml_form.load_kernels(text, "f.yaml"):
                check_kernel(kernel)
                solve(kernel.arguments, parse_rules(kernel.shape_infer_rules))
                read += kernel == KernelMetaData.load_from_yaml(yaml_str=kernel.to_yaml())
        except InputError as e:
            assert str(e)
    assert read > 20


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe4")
    with pytest.raises(InputError, match="found bytes that are no UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_without_pyyaml(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingError) as e:
        load_config(write_yaml(tmp_path))
    assert "needs the Python package 'yaml'" in str(e.value) and "pip install pyyaml" in str(e.value)


def test_the_command_takes_it(tmp_path):
    path = write_yaml(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "opwright", "plugin-gen", "--workspace", tmp_path / "w", "--kernel_config", path, "--json",
         "--targets", "cpu:x86-64-v3"], capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ops"] == ["triton::add_kernel", "triton::scale_kernel"]
