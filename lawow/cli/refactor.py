"""`lawow refactor`: split an APK into a slim APK and an offload bundle."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.keys import KeyOptions, load_key, read_file, require_key
from lawow.durable import replace_all
from lawow.errors import FormatError, Refused, UsageError
from lawow.limits import ARCHIVE, MODULE

if TYPE_CHECKING:
    from lawow.refactor.binding import ModuleChoice
    from lawow.refactor.edge_properties import EdgeProperties
    from lawow.refactor.report import Report

__all__ = ["command"]

TOKEN_BYTES = 64 << 10


@click.command(name="refactor")
@click.argument("apk", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--rule", "rules", multiple=True, metavar="GLOB", help="Classes to move [default: *Wasm].")
@click.option("--module", "modules", multiple=True, metavar="CLASS=FILE", help="Bind a class to a module.")
@click.option("--allow-unbound", is_flag=True, help="Leave classes without a module on the device.")
@click.option("--allow-old-android", is_flag=True, help="Accept a minSdkVersion below 21.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for both results.")
@click.option("--plan", is_flag=True, help="Show what would be done; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--keystore", type=click.Path(path_type=Path, dir_okay=False), help="PKCS#12 or PEM file.")
@click.option("--key-alias", metavar="NAME", help="Key in the keystore, if it holds several.")
@click.option("--debug-key", is_flag=True, help="Sign with a fresh key; for tests on your own device.")
@click.option("--edge", metavar="URL", help="Address of the edge, https://HOST:PORT.")
@click.option("--certificate-sha256", metavar="HEX", help="Trust this certificate of the edge and no other.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the edge's token."
)
@click.option("--timeout", type=int, metavar="SECONDS", help="Longest time for one call.")
@click.option("--gc/--no-gc", default=True, help="Remove names that only the offloaded code used.")
def command(
    apk: Path,
    rules: tuple[str, ...],
    modules: tuple[str, ...],
    allow_unbound: bool,
    allow_old_android: bool,
    out: Path | None,
    plan: bool,
    as_json: bool,
    keystore: Path | None,
    key_alias: str | None,
    debug_key: bool,
    edge: str | None,
    certificate_sha256: str | None,
    token_file: Path | None,
    timeout: int | None,
    gc: bool,
) -> None:
    """Split APK into a slim APK, whose WebAssembly classes call the edge, and an offload bundle.

    Writes NAME-slim.apk and NAME-offload.jar, both or neither. Passwords come from LAWOW_KEYSTORE_PASSWORD
    and LAWOW_KEY_PASSWORD, or are asked for on a terminal.

    \b
    lawow refactor app.apk --plan
    lawow refactor app.apk --debug-key --edge https://192.168.1.10:8443
    lawow refactor app.apk --rule 'com.example.Fib' --module Fib=fib.wasm --keystore release.p12
    """
    from lawow.refactor.classify import DEFAULT_RULES
    from lawow.refactor.pipeline import preview, refactor_app
    from lawow.refactor.plan import PlanOptions
    from lawow.refactor.split import SplitOptions

    keys = KeyOptions(keystore, key_alias, debug_key)
    require_key(keys, subject="the slim APK must be signed", optional=plan)
    plan_options = PlanOptions(
        rules=rules or DEFAULT_RULES,
        modules=tuple(map(_module_choice, modules)),
        allow_unbound=allow_unbound,
        allow_old_android=allow_old_android,
    )
    properties = _edge_properties(edge, certificate_sha256, token_file, timeout)
    split_options = SplitOptions(edge=properties, keep_orphan_ids=not gc)
    data = read_file(apk, ARCHIVE.archive_bytes)
    if plan:
        _show(preview(data, str(apk), plan_options, split_options), as_json=as_json)
        return
    results = _result_paths(apk, out)
    done = refactor_app(data, str(apk), plan_options, split_options, load_key(keys))
    _write(results, done.apk, done.bundle)
    _show(replace(done.report, apk_path=str(results[0]), bundle_path=str(results[1])), as_json=as_json)


def _module_choice(text: str) -> ModuleChoice:
    """Read ``CLASS=FILE``: a file on disk, or else a name for `refactor` to look up in the APK."""
    from lawow.formats.bundle import bundled_module
    from lawow.refactor.binding import ModuleChoice

    class_name, separator, file = text.partition("=")
    if not (class_name and separator and file):
        raise UsageError(f"--module: found {text!r}, allowed is CLASS=FILE.wasm")
    path = Path(file)
    if not path.is_file():
        return ModuleChoice(class_name, file)
    data = read_file(path, MODULE.module_bytes)
    try:
        bundled_module(path.name, data)
    except FormatError as error:
        error.file = str(path)  # the place on disk, not the one in a bundle
        raise
    return ModuleChoice(class_name, path.name, data)


def _edge_properties(
    edge: str | None, certificate_sha256: str | None, token_file: Path | None, timeout: int | None
) -> EdgeProperties | None:
    from lawow.refactor.edge_properties import EdgeProperties

    if edge is None:
        if certificate_sha256 or token_file or timeout is not None:
            raise UsageError("--certificate-sha256, --token-file and --timeout need --edge URL")
        return None
    token = (
        None if token_file is None else read_file(token_file, TOKEN_BYTES).decode("ascii", "replace").strip()
    )
    return EdgeProperties(edge, certificate_sha256, token, timeout)


def _result_paths(apk: Path, out: Path | None) -> tuple[Path, Path]:
    """Return where slim APK and bundle go. Raises `Refused` when one of them is the input itself."""
    folder = apk.parent if out is None else out
    slim, bundle = folder / f"{apk.stem}-slim.apk", folder / f"{apk.stem}-offload.jar"
    for path in (slim, bundle):
        if path.exists() and path.samefile(apk):
            raise Refused(f"{path} is the input itself; choose another folder with --out")
    return slim, bundle


def _write(paths: tuple[Path, Path], apk: bytes, bundle: bytes) -> None:
    """Put both files into place, or none, and no new folder either."""
    folder = paths[0].parent
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        replace_all([(paths[0], apk), (paths[1], bundle)])
    except OSError:
        if is_new:
            folder.rmdir()
        raise


def _show(report: Report, *, as_json: bool) -> None:
    from lawow.refactor.report import report_lines, report_record

    if as_json:
        click.echo(json.dumps(report_record(report), indent=2, ensure_ascii=False))
        return
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        _draw_classes(report)
    for line in report_lines(report, with_classes=not on_terminal):
        click.echo(line)


def _draw_classes(report: Report) -> None:
    """Draw the moved classes as a table."""
    from rich.console import Console
    from rich.table import Table

    from lawow.refactor.report import class_rows

    table = Table("moved class", "methods that call the edge", "module")
    for row in class_rows(report.split.plan):
        table.add_row(*row)
    Console().print(table)
