"""examples/cpp as a user builds it: find_package(opwright) of the installed package, then plugins built and made by hand."""

import os
import re
import subprocess
import sys

import package_kit
import pytest

import opwright

ADD = """{
  const float *x = (const float *)args->slots[0], *y = (const float *)args->slots[1]; float *out = (float *)args->slots[2], alpha;
  memcpy(&alpha, &args->slots[3], 4);
  for (int64_t p = lo; p < hi; p++) out[p] = x[p] + alpha * y[p];
  return 0; }"""
OP = {
    "name": "add", "doc": "x + alpha * y", "inputs": [{"name": "x", "type": "f32"}, {"name": "y", "type": "f32"}],
    "outputs": [{"name": "out", "type": "f32", "shape": ["x[0:]"]}], "attrs": [{"name": "alpha", "kind": "float", "default": 1.0}],
    "plans": [{"launches": [{"grid": ["numel(x)"], "args": ["ptr x", "ptr y", "ptr out", "attr alpha"], "variants": [{"kernel": "add"}]}]}],
}  # fmt: skip
SAID = "sample::add: x + alpha * y\nshape [3, 4], last 12\nthree times 33\nstatus 2: sample::add: no combination of element types takes "


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def program(root, tmp_path_factory):
    """The example, built as C++17 with the warnings that users may have on."""
    build = tmp_path_factory.mktemp("cpp")
    prefix = run(sys.executable, "-m", "opwright", "--cmake-dir").strip()
    warnings = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
    run(
        "cmake",
        "-S",
        root / "examples/cpp",
        "-B",
        build,
        f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_CXX_FLAGS={warnings}",
    )
    run("cmake", "--build", build)
    return build / "call_plugin"


def test_the_example_calls_a_built_plugin(program, tmp_path):
    params = [(True, "f32")] * 3 + [(False, "f32")]
    path = package_kit.package(tmp_path, [OP], [package_kit.kernel_object("add", ADD, params, tmp_path)])
    assert run(program, path).startswith(SAID)
    path.write_bytes(path.read_bytes()[:-1])
    done = subprocess.run([program, path], capture_output=True, text=True)
    assert done.returncode == 1 and f"{path} has no seal" in done.stderr


def test_the_example_calls_a_plugin_made_by_hand(program, root, tmp_path):
    archive = os.path.join(os.path.dirname(opwright.include_dir()), "lib/libopwright_runtime.a")
    run("sh", root / "examples/c/build.sh", opwright.include_dir(), archive, tmp_path)
    assert run(program, tmp_path / "libadd.so", "unsealed").startswith(SAID)
    done = subprocess.run([program, tmp_path / "libadd.so"], capture_output=True, text=True)
    assert done.returncode == 1 and "or ask for an unsealed library" in done.stderr


def test_the_package_is_found_for_c_and_its_version_is_checked(tmp_path):
    found = 'find_package(opwright {} CONFIG REQUIRED)\nget_target_property(dir opwright::plugin INTERFACE_INCLUDE_DIRECTORIES)\nmessage("<${{dir}}>")\n'
    head = (
        'cmake_minimum_required(VERSION 3.16)\nproject(p LANGUAGES C)\nset(opwright_DIR "'
        + opwright.cmake_dir()
        + '")\n'
    )
    link = 'file(WRITE a.c "#include <opwright/plugin.h>\\nint main(void) { return OPW_ABI_MAJOR; }\\n")\nadd_executable(a a.c)\ntarget_link_libraries(a opwright::plugin)\n'
    (tmp_path / "CMakeLists.txt").write_text(head + found.format(opwright.__version__) + link)
    done = subprocess.run(["cmake", "-B", tmp_path / "b", tmp_path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and f"<{os.path.realpath(opwright.include_dir())}>" in done.stderr, done.stderr
    run("cmake", "--build", tmp_path / "b")
    (tmp_path / "CMakeLists.txt").write_text(head + found.format("99.0") + link)
    done = subprocess.run(["cmake", "-B", tmp_path / "c", tmp_path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0 and "99.0" in done.stderr


def test_the_page_compiles(root, tmp_path):
    blocks = re.findall(r"^```cpp\n(.*?)^```$", (root / "docs/cpp.md").read_text(), re.MULTILINE | re.DOTALL)
    head = "#include <iostream>\n#include <opwright/plugin.hpp>\n#include <thread>\n#include <vector>\nint main() {\n"
    (tmp_path / "page.cpp").write_text(head + "".join(blocks) + "}\n")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{opwright.include_dir()}", "-fsyntax-only"]
    run("c++", *flags, "-Wno-unused-variable", tmp_path / "page.cpp")
    assert len(blocks) == 3


def test_paths_are_printed(program):
    assert run(sys.executable, "-m", "opwright", "--include-dir").strip() == opwright.include_dir()
    assert os.path.isfile(os.path.join(opwright.include_dir(), "opwright/plugin.hpp"))
    assert os.path.isfile(os.path.join(opwright.cmake_dir(), "opwrightConfig.cmake"))
