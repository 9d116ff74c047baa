"""The command `opwright`. Results go to stdout, diagnostics and progress to stderr.

Exit codes: 0 done; 1 the input is refused; 2 wrong usage; 3 a tool, device or host is missing; 4 verification failed; 70 a bug of
Opwright.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from opwright.errors import EXIT_BUG, EXIT_MISSING, EXIT_OK, EXIT_REFUSED, EXIT_VERIFY, OpwrightError

app = typer.Typer(
    name="opwright", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="Compiles Triton kernels ahead of time to one plugin library for every host.",
)  # fmt: skip

_IGNORED = {"hidden": True, "help": "accepted for PluginGen's sake and not needed"}


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str], None]]:
    """A function that is told each stage: a spinner on a terminal, a line per stage elsewhere."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def stage(name: str) -> None:
            bar.update(task, description=name)
            if not console.is_terminal:
                print(f"opwright: {name}", file=sys.stderr)

        yield stage


def _print_stages(title: str, stages: Sequence[tuple[str, float]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "ms", title=title, title_justify="left")
    table.columns[1].justify = "right"
    for name, ms in stages:
        table.add_row(name, f"{ms:.1f}")
    table.add_row("total", f"{sum(ms for _, ms in stages):.1f}", style="bold")
    Console().print(table)


def _print_path(name: str) -> Callable[[bool], None]:
    def show(wanted: bool) -> None:
        if wanted:
            from opwright import paths

            print(getattr(paths, name)())
            raise typer.Exit

    return show


@app.callback()
def _root(
    cmake_dir: Annotated[
        bool,
        typer.Option(
            "--cmake-dir",
            is_eager=True,
            callback=_print_path("cmake_dir"),
            help="print the folder of the CMake package, for CMAKE_PREFIX_PATH",
        ),
    ] = False,
    include_dir: Annotated[
        bool,
        typer.Option(
            "--include-dir",
            is_eager=True,
            callback=_print_path("include_dir"),
            help="print the folder of the C and C++ headers",
        ),
    ] = False,
) -> None:
    """Compiles Triton kernels ahead of time to one plugin library for every host."""


@app.command("build")
def build_command(
    source: Annotated[
        Path, typer.Argument(metavar="FILE.py", help="Python with definitions, or a workspace's request.json")
    ],
    library: Annotated[Path, typer.Option("--output", "-o", help="the plugin library")],
    targets: Annotated[
        str, typer.Option("--targets", help="what to compile for, separated by commas")
    ] = "cpu:x86-64-v3,cpu:x86-64-v4",
    ops: Annotated[str, typer.Option("--ops", help="ids of the operators to build, separated by commas; all")] = "",
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attr", metavar="NS::OP.NAME=VALUE", help="a value that the library is built for; repeatable"),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option("--for", metavar="MODEL.onnx", help="build for the attributes and ranks of its nodes; repeatable"),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="folder that keeps the request, the TTIR and compiled kernels")
    ] = None,
    emit_sources: Annotated[
        Path | None, typer.Option("--emit-sources", help="folder for the plugin as C, assembly and a CMake project")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Builds one plugin library from definitions of operators."""
    from opwright.plugin.build import build
    from opwright.workspace import parse_targets

    levels = parse_targets(targets)
    wanted = [op.strip() for op in ops.split(",") if op.strip()]
    with _progress("build") as stage:
        report = build(
            source,
            library,
            levels,
            wanted,
            workspace,
            stage,
            attributes=attributes or (),
            models=models or (),
            sources=emit_sources,
        )
    if as_json:
        print(json.dumps(report.as_dict(), indent=1))
        return
    _print_stages(", ".join(report.ops), report.stages)
    print(
        f"{report.kernels} kernels: TTIR of {report.traced} made; {report.compiled} compiled, {report.reused} as they were",
        file=sys.stderr,
    )
    print(report.library)


@app.command("plugin-gen")
def plugin_gen_command(
    workspace: Annotated[Path, typer.Option("--workspace", help="folder for everything that is built")],
    kernel_config: Annotated[
        Path,
        typer.Option("--kernel_config", "--kernel-config", help="Python with KERNELS = [KernelMetaData(...)], or YAML"),
    ],
    namespace: Annotated[str, typer.Option("--namespace", help="namespace of the operators in every host")] = "triton",
    targets: Annotated[
        str, typer.Option("--targets", help="what to compile for, separated by commas")
    ] = "cpu:x86-64-v3,cpu:x86-64-v4",
    emit_sources: Annotated[
        Path | None, typer.Option("--emit-sources", help="folder for the plugin as C, assembly and a CMake project")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    tensorrt_llm_include_path: Annotated[str, typer.Option("--tensorrt_llm_include_path", **_IGNORED)] = "",
    trt_lib_dir: Annotated[str, typer.Option("--trt_lib_dir", **_IGNORED)] = "",
    trt_include_dir: Annotated[str, typer.Option("--trt_include_dir", **_IGNORED)] = "",
    trt_llm_include_dir: Annotated[str, typer.Option("--trt_llm_include_dir", **_IGNORED)] = "",
) -> None:
    """Builds one plugin library and functional.py from a kernel configuration in PluginGen's vocabulary."""
    from opwright.plugin_gen.build import plugin_gen
    from opwright.workspace import parse_targets

    levels = parse_targets(targets)
    with _progress("plugin-gen") as stage:
        report = plugin_gen(workspace, kernel_config, namespace, levels, stage, emit_sources)
    for warning in report.warnings:
        print(f"opwright: warning: {warning}", file=sys.stderr)
    if as_json:
        print(json.dumps(report.as_dict(), indent=1))
        return
    _print_stages(", ".join(report.ops), report.stages)
    for path in (report.library, report.functional, report.sources):
        if path:
            print(path)


_Library = Annotated[Path, typer.Argument(metavar="LIB.so", help="a plugin library")]
_Op = Annotated[str, typer.Argument(metavar="OP", help="the operator's name, or ns::name")]
_In = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="FILE.npy",
        help="an input, in order; FILE.npy:bfloat16 for types of ml_dtypes, none for no input",
    ),
]
_More = Annotated[list[str] | None, typer.Argument(metavar="[FILE.npy]...", help="more inputs", show_default=False)]
_Attr = Annotated[list[str] | None, typer.Option("--attr", metavar="NAME=VALUE", help="an attribute; 1,2,3 for a list")]
_Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@app.command("run")
def run_command(
    library: _Library,
    op: _Op,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="folder for <output>.npy")],
    more: _More = None,
    inputs: _In = None,
    attributes: _Attr = None,
    as_json: _Json = False,
) -> None:
    """Calls an operator on files of NumPy arrays."""
    from opwright.run import prepare, run

    written = run(prepare(library, op, [*(inputs or ()), *(more or ())], attributes or ()), out)
    if as_json:
        print(json.dumps({"outputs": [str(path) for path in written]}, indent=1))
        return
    for path in written:
        print(path)


@app.command("bench")
def bench_command(
    library: _Library,
    op: _Op,
    more: _More = None,
    inputs: _In = None,
    attributes: _Attr = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="how long to measure")] = 2.0,
    as_json: _Json = False,
) -> None:
    """Times every tactic of an operator on files of NumPy arrays."""
    from opwright.run import bench, prepare

    call = prepare(library, op, [*(inputs or ()), *(more or ())], attributes or ())
    with _progress("bench") as stage:
        found = bench(call, seconds, stage if sys.stderr.isatty() else lambda name: None)
    if as_json:
        print(json.dumps({"op": str(call.op), "unit": "us", "tactics": [vars(each) for each in found]}, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("tactic", "us, best", "us, median", "", title=str(call.op), title_justify="left")
    for each in sorted(found, key=lambda each: each.median):
        table.add_row(str(each.tactic), f"{each.best:.2f}", f"{each.median:.2f}", each.text)
    Console().print(table)


@app.command("verify")
def verify_command(
    source: Annotated[Path, typer.Argument(metavar="FILE.py", help="Python with definitions that have an impl")],
    library: Annotated[Path, typer.Option("--lib", metavar="LIB.so", help="the plugin library that was built of it")],
    ops: Annotated[
        str, typer.Option("--ops", help="ids of the operators to verify, separated by commas; all with an impl")
    ] = "",
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attr", metavar="NS::OP.NAME=VALUE", help="as given to build; repeatable"),
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option("--for", metavar="MODEL.onnx", help="as given to build; repeatable")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the random inputs")] = 0,
    calls: Annotated[int, typer.Option("--calls", min=1, help="per combination of element types and tactic")] = 6,
    as_json: _Json = False,
) -> None:
    """Compares every combination of element types and every tactic of a library with the impl functions of its definitions."""
    from opwright.loader import load
    from opwright.plugin import uses
    from opwright.plugin.verify import load_definitions, verify

    definitions = load_definitions(source, [op.strip() for op in ops.split(",") if op.strip()])
    uses.add_given(definitions, attributes or ())
    for model in models or ():
        uses.add_model(definitions, model)
    with _progress("verify") as stage:
        rows = verify(definitions, load(library), seed, calls, stage if sys.stderr.isatty() else lambda name: None)
    failed = [row for row in rows if row.problem]
    if as_json:
        print(json.dumps({"ok": not failed, "seed": seed, "rows": [row.as_dict() for row in rows]}, indent=1))
    else:
        for row in rows:
            verdict = (
                f"FAILED: {row.problem}" if row.problem else f"ok, largest error {row.worst:.2f} of what is allowed"
            )
            refused = f" ({row.refused} refused, the last: {row.reason})" if row.refused else ""
            print(f"{row.op} ({row.types}) tactic {row.tactic}, {row.calls} calls{refused}: {verdict}")
        if failed:
            print(f"error: {len(failed)} of {len(rows)} differ; the same numbers again: --seed {seed}", file=sys.stderr)
    raise typer.Exit(EXIT_VERIFY if failed else EXIT_OK)


@app.command("inspect")
def inspect_command(
    library: Annotated[Path, typer.Argument(help="a plugin library")],
    unsealed: Annotated[bool, typer.Option("--unsealed", help="take a library that was made by hand")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Shows what a plugin library holds: operators, how they launch kernels, kernels."""
    from opwright.inspect import inspect, lines

    found = inspect(library, sealed=not unsealed)
    print(json.dumps(found, indent=1) if as_json else "\n".join(lines(found)))


@app.command("seal")
def seal_command(library: Annotated[Path, typer.Argument(help="a plugin library without a seal")]) -> None:
    """Seals a plugin that was made by hand, or changed by strip or patchelf, so that loaders take it."""
    from opwright.sealing import seal_library

    seal_library(library)


@app.command("explain")
def explain_command(
    target: Annotated[str, typer.Argument(metavar="FILE.py:KERNEL", help="a @triton.jit function in a Python file")],
    signature: Annotated[
        str,
        typer.Option("--signature", help="types of the arguments that are no constants, as in '*fp32,*fp32:16,i32'"),
    ],
    constants: Annotated[
        list[str] | None, typer.Option("--const", metavar="NAME=VALUE", help="value of a tl.constexpr; repeatable")
    ] = None,
    num_warps: Annotated[int, typer.Option("--num-warps", help="tl.num_warps, where the kernel asks for it")] = 4,
    level: Annotated[str, typer.Option("--level", help="host, x86-64-v3, x86-64-v4 or aarch64")] = "host",
    args_disjoint: Annotated[
        bool, typer.Option("--args-disjoint", help="arguments do not overlap, as in plugins: no guards")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Shows what each line of a kernel becomes on a CPU, and why something is slow."""
    from opwright.explain import explain

    found = explain(target, signature, constants or (), num_warps=num_warps, level=level, args_disjoint=args_disjoint)
    if as_json:
        print(json.dumps(found.as_dict(), indent=1))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("line", found.kernel, f"on {found.level}", box=SIMPLE_HEAD)
    table.columns[0].justify = "right"
    for line in found.lines:
        parts = [Text(f"{kind}: {text}", style="yellow" if kind == "slow" else "") for kind, text in line.remarks]
        table.add_row(str(line.number), Text(line.source), Text("\n").join(parts))
    out = Console()
    (out if out.is_terminal else Console(width=128)).print(table)


@app.command("doctor")
def doctor_command(as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False) -> None:
    """Says what is installed and what is missing."""
    from opwright.doctor import examine

    checks = examine()
    if as_json:
        print(json.dumps([check.as_dict() for check in checks], indent=1))
    else:
        for check in checks:
            print(f"{'ok     ' if check.ok else 'missing' if check.needed else 'absent '} {check.name}: {check.text}")
    raise typer.Exit(EXIT_OK if all(check.ok or not check.needed for check in checks) else EXIT_MISSING)


def main() -> None:
    """Runs the command line and exits."""
    try:
        app()
    except OpwrightError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(EXIT_OK)
    except Exception as e:
        from opwright.native import PluginError

        if isinstance(e, PluginError):
            print(f"error: {e}", file=sys.stderr)
            sys.exit(EXIT_REFUSED)
        import traceback

        traceback.print_exc()
        print(
            "opwright: this is a bug in Opwright; report it with the text above and the output of `opwright doctor`",
            file=sys.stderr,
        )
        sys.exit(EXIT_BUG)
