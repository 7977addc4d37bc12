"""``lawow doctor``: what stands in the way of an APK on phones and in Google Play, and how it is mended."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.app_files import read_source
from lawow.errors import Refused

if TYPE_CHECKING:
    from lawow.doctor import Finding, Report, Severity

__all__ = ["command"]

_LEVELS = ("error", "warning", "note")
_TABLE_COLUMNS = 80
"""In a narrower terminal three columns break words, and lines are read more easily."""


@click.command("doctor", short_help="Tell what is wrong with an APK, why, and how to mend it.")
@click.argument("apk", type=click.Path(path_type=Path, exists=True))
@click.option("--min-severity", type=click.Choice(_LEVELS), default="note", help="Show nothing lighter.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def command(context: click.Context, apk: Path, min_severity: str, as_json: bool) -> None:
    """Examine APK, anybody's: manifest, signatures, archive, ABIs, native libraries, dex files, and what
    LAWOW put into it. APK may also be a set of split APKs (.apks, .xapk, a folder).

    An error means: some phone that the manifest allows does not install or run it, or Google Play does not
    take it. Exit code 0: no errors. 4: there are errors, whatever is shown. 3: the file cannot be read.
    """
    from lawow.doctor import Severity, examine

    report = examine(read_source(apk))
    shown = [item for item in report.findings if item.severity.rank <= Severity(min_severity).rank]
    if as_json:
        click.echo(json.dumps(_details(apk, report, shown)))
    elif sys.stdout.isatty() and shutil.get_terminal_size().columns >= _TABLE_COLUMNS:
        _print_tables(_headline(apk, report), shown)
    else:
        for line in _lines(_headline(apk, report), shown):
            click.echo(line)
    context.exit(Refused.exit_code if report.has_errors else 0)


def _details(apk: Path, report: Report, shown: Sequence[Finding]) -> dict[str, object]:
    from lawow.doctor import Severity

    return {
        "path": str(apk),
        "package": report.package,
        "min_sdk": report.min_sdk,
        "target_sdk": report.target_sdk,
        "abis": list(report.abis),
        "counts": {level.value: report.count(level) for level in Severity},
        "findings": [item.details() for item in shown],
    }


def _headline(apk: Path, report: Report) -> str:
    from lawow.doctor import Severity

    counts = ", ".join(_counted(report.count(level), level) for level in Severity)
    abis = ", ".join(report.abis) or "no native libraries"
    levels = f"API {report.min_sdk} and above, made for {report.target_sdk}"
    return _plain(f"{apk}: {report.package}, {levels}, {abis}: {counts}")


def _counted(number: int, severity: Severity) -> str:
    return f"{number} {severity.value}{'' if number == 1 else 's'}"


def _lines(headline: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield three lines for each finding: what was found where, why it matters, how to mend it."""
    yield headline
    for item in findings:
        place = f"{item.place}: " if item.place else ""
        yield _plain(f"{item.severity.value:8} {place}{item.found} [{item.kind}]")
        yield f"         why:  {item.why}"
        yield _plain(f"         mend: {item.mend}")


def _plain(text: str) -> str:
    """Return a text without the control characters that names in an APK may hold."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _print_tables(headline: str, findings: Sequence[Finding]) -> None:
    """Draw one table for each severity."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(headline))
    for level, style in zip(_LEVELS, ("red", "yellow", "cyan"), strict=True):
        rows = [item for item in findings if item.severity.value == level]
        if not rows:
            continue
        table = Table(title=f"{level}s", title_style=style, title_justify="left", show_lines=True)
        for heading, ratio in (("found", 4), ("why it matters", 4), ("how to mend it", 4)):
            table.add_column(heading, ratio=ratio, overflow="fold")
        for item in rows:
            what = Text.assemble((item.kind, "bold"))
            for part in filter(None, (item.place, item.found)):
                what.append(f"\n{_plain(part)}")
            table.add_row(what, Text(item.why), Text(_plain(item.mend)))
        console.print(table)
