"""The repository keeps its own promises: one version, pinned tools, no paths of a machine, a README that runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

TEXT = {".c", ".cmake", ".cpp", ".def", ".h", ".json", ".md", ".py", ".toml", ".txt", ".ttir", ".mlir", ""}
LEFT_OUT = {".git", ".venv", ".venvs", "build", "dist", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_files(root: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        found += [
            Path(folder, name) for name in names if name not in LEFT_OUT and Path(name).suffix in TEXT
        ]  # .git may be a file
    return sorted(found)


def tool(name: str) -> Path:
    """A tool of the environment that runs the tests."""
    return Path(sys.prefix) / "bin" / name


def product_version(root: Path) -> str:
    return re.search(r"project\(opwright VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text())[1]


# --- one version ---------------------------------------------------------------------------------------------------


def test_installed_version_is_the_one_of_cmake(root):
    import opwright

    assert version("opwright") == opwright.__version__ == product_version(root)


def test_changelog_opens_with_the_version(root):
    heading = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading[1] == product_version(root)


def test_no_second_place_has_the_version(root):
    number = product_version(root)
    allowed = {root / "CMakeLists.txt", root / "CHANGELOG.md"}
    places = (path for folder in ("python", "src", "runtime", "cmake", "tools") for path in text_files(root / folder))
    literal = re.compile(rf"""["']{re.escape(number)}["']""")
    second = [
        path for path in [*places, root / "pyproject.toml"] if path not in allowed and literal.search(path.read_text())
    ]
    assert second == []


# --- sources -------------------------------------------------------------------------------------------------------


def test_no_paths_of_a_machine(root):
    pattern = re.compile(r"(?<![\w.])/(?:work|farm|root|home)/[A-Za-z0-9._-]+")
    hits = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in text_files(root)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert hits == []


def test_every_include_follows_the_table_of_layers(root):
    done = subprocess.run([root / "tools/dev/check_layers"], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_cxx_format_is_checked(root, tmp_path):
    (tmp_path / ".clang-format").write_text((root / ".clang-format").read_text())
    for text, expected in (("int  a ;\n", 1), ("int a;\n", 0)):
        (tmp_path / "a.cpp").write_text(text)
        command = [tool("clang-format"), "--dry-run", "-Werror", "a.cpp"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == expected


def test_python_format_and_lint_are_checked(root, tmp_path):
    (tmp_path / "pyproject.toml").write_text((root / "pyproject.toml").read_text())
    (tmp_path / "a.py").write_text("import os\nx = {'a':1}\n")
    assert subprocess.run([tool("ruff"), "check", "a.py"], cwd=tmp_path, capture_output=True).returncode == 1
    assert (
        subprocess.run([tool("ruff"), "format", "--check", "a.py"], cwd=tmp_path, capture_output=True).returncode == 1
    )


def test_public_headers_compile_alone(root):
    for header in sorted((root / "include/opwright").glob("*.h")):
        for command in (["cc", "-std=c11", "-xc"], ["c++", "-std=c++17", "-xc++"]):
            flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", str(root / "include")]
            done = subprocess.run([*command, *flags, header], text=True, capture_output=True)
            assert done.returncode == 0, done.stderr


def test_development_requirements_are_pinned(root):
    for path in (root / "tools/dev").glob("requirements*.txt"):
        lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
        assert [line for line in lines if line and not re.fullmatch(r"[\w.-]+==[\w.+]+", line)] == []


def test_decisions_have_their_three_parts(root):
    pages = sorted((root / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        for part in ("**Context.**", "**Choice.**", "**Consequences.**"):
            assert part in page.read_text(), page.name


def prose(page: Path) -> str:
    """The page without its code: fenced blocks and indented lines."""
    return re.sub(r"^```.*?^```$|^ {4}[^\n]*$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_links_between_pages_lead_somewhere(root):
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(root)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(page))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


# --- ./dev ---------------------------------------------------------------------------------------------------------


def run_dev(root: Path, *args: str) -> subprocess.CompletedProcess:
    return subprocess.run([root / "dev", *args], cwd="/", text=True, capture_output=True)


def test_dev_help_names_every_command(root):
    done = run_dev(root, "--help")
    assert done.returncode == 0
    for command in ("demo", "test", "test-all", "bench", "format", "--help"):
        assert re.search(rf"^  {command}\s", done.stdout, re.MULTILINE)


def test_dev_refuses_an_unknown_command(root):
    done = run_dev(root, "tset")
    assert done.returncode == 2
    assert "found 'tset', expected one of the commands above" in done.stderr


def test_dev_says_what_is_missing_where_it_cannot_install(root, tmp_path):
    """Without a compiler and without apt it names the packages; nothing is made."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "uname", "xargs", "id", "env", "cat"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    copy = tmp_path / "tree"
    copy.mkdir()
    (copy / "dev").write_text((root / "dev").read_text())
    environment = {"PATH": str(tools)}
    done = subprocess.run(["bash", "dev", "demo"], cwd=copy, env=environment, text=True, capture_output=True)
    assert done.returncode == 3
    assert "missing: g++ (their names on Debian and Ubuntu)" in done.stderr
    assert sorted(path.name for path in copy.iterdir()) == ["dev"]


def test_dev_says_how_much_room_it_wants(root, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "df").write_text("#!/bin/sh\necho header; echo 'disk 1 1 1048576 1% /'\n")
    (tools / "df").chmod(0o755)
    copy = tmp_path / "tree"
    copy.mkdir()
    (copy / "dev").write_text((root / "dev").read_text())
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "dev", "demo"], cwd=copy, env=environment, text=True, capture_output=True)
    assert done.returncode == 3
    assert "found 1 GB free" in done.stderr and "expected 4 GB for 'demo'" in done.stderr


def test_continuous_integration_runs_the_tests(root):
    assert '/dev" test' in (root / ".ci/run").read_text() or '../dev" test' in (root / ".ci/run").read_text()


# --- README --------------------------------------------------------------------------------------------------------


def readme_blocks(root: Path) -> list[tuple[str, str]]:
    return FENCE.findall((root / "README.md").read_text())


def test_readme_example_runs(root, tmp_path):
    """Every Python block is a file, every command runs, in their order; installing has a test of its own."""
    environment = os.environ | {"TRITON_DEFAULT_BACKEND": "cpu", "TRITON_CACHE_DIR": str(tmp_path / "cache")}
    elsewhere = {"./dev demo", "./dev test", 'pip install ".[triton]"'}  # below; what runs this; tests/install
    printed = {}
    for language, text in readme_blocks(root):
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", text)[1]
            (tmp_path / name).write_text(text)
            if re.search(r"^print\(", text, re.MULTILINE):
                done = subprocess.run(
                    [sys.executable, name], cwd=tmp_path, env=environment, text=True, capture_output=True
                )
                assert done.returncode == 0, done.stderr
                printed[name] = done.stdout
        else:
            for command in text.strip().splitlines():
                if command not in elsewhere:
                    words = shlex.split(command)
                    assert words[0] == "opwright"
                    done = subprocess.run(
                        [sys.executable, "-m", *words], cwd=tmp_path, env=environment, text=True, capture_output=True
                    )
                    assert done.returncode == 0, done.stdout + done.stderr
    assert printed == {"use.py": "[2. 3. 4.]\n", "on_cpu.py": "[2. 2. 2.]\n", "in_torch.py": "3.0 2.0\n"}


@pytest.mark.parametrize(
    ("page", "prints"),
    [
        ("triton.md", {"bound.py": "0.125", "profiled.py": "0.125\n[('decay', 10)]"}),
        ("pytorch.md", {"sine.py": "True True", "package.py": "True", "model.py": "True"}),
    ],
)
def test_examples_of_a_page_run(root, tmp_path, page, prints):
    if page == "pytorch.md":
        pytest.importorskip("torch", reason="torch is not installed")
    environment = os.environ | {
        "TRITON_DEFAULT_BACKEND": "cpu",
        "TRITON_CACHE_DIR": str(tmp_path / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
    }
    found = {}
    for language, text in FENCE.findall((root / "docs" / page).read_text()):
        assert language == "python"
        name = re.match(r"# (\w+\.py)\n", text)[1]
        (tmp_path / name).write_text(text)
        done = subprocess.run([sys.executable, name], cwd=tmp_path, env=environment, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        found[name] = done.stdout.strip()
        told = re.findall(r"^ *print\(.*\)  # (.*)$", text, re.MULTILINE)
        assert found[name].splitlines()[-1:] == told
    assert found == prints


def test_plugin_gen_page_runs(root, tmp_path):
    """Every block is a file or a command, in their order; the YAML form gives the library that the Python form gave."""
    libraries = []
    for language, text in FENCE.findall((root / "docs/plugin_gen.md").read_text()):
        if language != "sh":
            (tmp_path / re.match(r"# (\w+\.\w+)\n", text)[1]).write_text(text)
        commands = text.strip().splitlines() if language == "sh" else ["python use.py"] if "# use.py" in text else []
        for command in commands:
            words = shlex.split(command)
            program = {"opwright": [sys.executable, "-m", "opwright"], "python": [sys.executable], "cmake": ["cmake"]}
            done = subprocess.run([*program[words[0]], *words[1:]], cwd=tmp_path, text=True, capture_output=True)
            assert done.returncode == 0, done.stdout + done.stderr
            if words[0] == "python":
                assert [done.stdout.strip()] == re.findall(r"^print\(.*\)  # (.*)$", text, re.MULTILINE)
            if words[:2] == ["opwright", "plugin-gen"]:
                libraries.append((tmp_path / "work/output/libtriton_plugins.so").read_bytes())
    assert len(libraries) == 3 and len(set(libraries)) == 1
    assert (tmp_path / "sources/build/libtriton_plugins.so").is_file()


def test_commands_page_runs(root, tmp_path):
    """Its table has every command; its session runs."""
    page = (root / "docs/commands.md").read_text()
    usage = subprocess.run(
        [sys.executable, "-m", "opwright", "--help"],
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
    ).stdout
    commands = re.findall(r"^│ ([a-z-]+)  +\S", usage.partition("Commands")[2], re.MULTILINE)
    assert sorted(commands) == sorted(re.findall(r"^\| `([a-z-]+)", page, re.MULTILINE)[1:]) and len(commands) > 5
    for language, text in FENCE.findall(page):
        if language == "python":
            (tmp_path / re.match(r"# (\w+\.py)\n", text)[1]).write_text(text)
        for command in text.strip().splitlines() if language == "sh" else ():
            words = shlex.split(command)
            program = {"opwright": [sys.executable, "-m", "opwright"], "python": [sys.executable]}[words[0]]
            done = subprocess.run([*program, *words[1:]], cwd=tmp_path, text=True, capture_output=True)
            assert done.returncode == 0, done.stdout + done.stderr
    import numpy as np

    np.testing.assert_array_equal(np.load(tmp_path / "results/out.npy"), np.arange(10_000) * np.float32(0.5))


def test_table_of_versions_is_what_the_conformance_suite_knows(root):
    spec = importlib.util.spec_from_file_location("later", root / "tests/conformance/later.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = (root / "docs/triton.md").read_text().split("| since | what |\n|---|---|\n")[1]
    assert table == "".join(f"| {since} | {what} |\n" for since, _, what in module.LATER)


def test_explain_page_is_what_the_command_prints(root, tmp_path):
    blocks = FENCE.findall((root / "docs/explain.md").read_text())
    assert [language for language, _ in blocks] == ["python", "sh", "text"]
    (_, kernel), (_, command), (_, expected) = blocks
    (tmp_path / re.match(r"# (\w+\.py)\n", kernel)[1]).write_text(kernel)
    words = shlex.split(command)
    assert words[:2] == ["opwright", "explain"]
    done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert [line.rstrip() for line in done.stdout.strip("\n").splitlines()] == expected.splitlines()


@pytest.mark.slow
def test_readme_demo(root):
    if "OPW_DEV" not in os.environ:
        pytest.skip("only ./dev test has set the tree up for it")
    done = run_dev(root, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("NumPy", "ONNX Runtime", "C"):
        assert row in done.stdout
