"""``lawow build``: a C, C++ or Python source becomes a module or component, and its interface a WIT file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lawow.build.modules import BuiltModule, build_module
from lawow.build.sources import find_sources
from lawow.cli.progress import tell
from lawow.durable import replace_all
from lawow.errors import UsageError
from lawow.formats.wit import parse_wit, print_function

__all__ = ["command"]


@click.command(
    short_help="Build a module from C, C++ or Python.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; its name ends in .wasm. [default: the source's name, here]",
)
@click.option(
    "--native", is_flag=True, help="Build the same functions for this machine and for Android, too."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: Path, out: Path | None, native: bool, as_json: bool) -> None:
    """Build a WebAssembly module from SOURCE: a C or C++ file, a folder of them, or a Python file.

    C and C++: functions tagged LAWOW_OFFLOAD (#include "lawow.h") become exports. Python: functions with type
    hints become exports of a component. The interface is written beside the result as .wit.

    \b
    lawow build fibonacci.c
    lawow exec fibonacci.wasm fib 10
    """
    tell(f"building {source}; the first build makes the compiler's own libraries, for a minute or two")
    target = out or Path(f"{source.resolve().stem}.wasm")
    if target.suffix != ".wasm":
        raise UsageError(f"{target}: the name of the result ends in .wasm")
    if source.suffix == ".py":
        if native:
            raise UsageError("--native is for C and C++; Python has no native form here")
        from lawow.build.python_app import build_component

        component = build_component(source)
        _write([(target, component.wasm), (target.with_suffix(".wit"), component.wit.encode())])
        _report(target, len(component.wasm), component.wit, [], as_json)
        return
    sources = find_sources(source)
    module = build_module(sources, target.stem)
    files = [(target, module.wasm), (target.with_suffix(".wit"), module.wit.encode())]
    libraries: list[tuple[Path, bytes]] = []
    if native:
        from lawow.build.native import build_libraries

        built = build_libraries(sources, target.stem)
        libraries = [(target.parent / "native" / name, data) for name, data in built.items()]
    _write([*files, *libraries])
    _say_optimizer(module)
    _report(target, len(module.wasm), module.wit, [str(path) for path, _ in libraries], as_json)


def _write(files: list[tuple[Path, bytes]]) -> None:
    for path, _ in files:
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_all(files)


def _say_optimizer(module: BuiltModule) -> None:
    if module.optimizer:
        click.echo(f"lawow: {module.optimizer} ran over the module", err=True)


def _report(target: Path, size_bytes: int, wit: str, libraries: list[str], as_json: bool) -> None:
    """Say what was written and what can be called."""
    functions = [print_function(item) for item in parse_wit(wit).functions]
    if as_json:
        files = {"module": str(target), "wit": str(target.with_suffix(".wit")), "libraries": libraries}
        click.echo(json.dumps({**files, "bytes": size_bytes, "exports": functions}))
        return
    click.echo(f"{target}  {size_bytes:,} bytes")
    for line in functions:
        click.echo(f"  {line}")
    for name in libraries:
        click.echo(name)
