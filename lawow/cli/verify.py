"""``lawow verify``: who signed an APK, does Android accept it, and if not, why; for everybody's APKs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.keys import read_file
from lawow.errors import FormatError, LimitExceeded
from lawow.limits import ARCHIVE

if TYPE_CHECKING:
    from lawow.formats.signing import Verdict
    from lawow.formats.zip import Misaligned

__all__ = ["command"]


@click.command("verify", short_help="Verify an APK's signatures.")
@click.argument("apk", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--min-sdk", type=click.IntRange(1, 10_000), help="Instead of the manifest's minSdkVersion.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, issues as data.")
@click.pass_context
def command(context: click.Context, apk: Path, min_sdk: int | None, as_json: bool) -> None:
    """Verify the signatures v1, v2 and v3 of APK, as far as some Android from its minSdkVersion on looks.

    Exit code 0: it verifies. 3: it does not; every issue is named. Entries that Android could not map into
    memory are remarks: they are no matter of the signature.
    """
    from lawow.formats.signing import verify_apk

    data = read_file(apk, ARCHIVE.archive_bytes)
    verdict = verify_apk(data, min_sdk=min_sdk)
    misaligned = _misaligned(data)
    if as_json:
        remarks = [
            {"path": item.path, "offset": item.offset, "alignment": item.alignment} for item in misaligned
        ]
        click.echo(json.dumps({"path": str(apk), **verdict.details(), "misaligned": remarks}))
    else:
        for line in _lines(apk, verdict, misaligned):
            click.echo(line)
    context.exit(0 if verdict.verifies else FormatError.exit_code)


def _misaligned(data: bytes) -> list[Misaligned]:
    from lawow.formats.zip import find_misaligned, read_zip

    try:
        return list(find_misaligned(read_zip(data)))
    except (FormatError, LimitExceeded):
        return []  # the verdict says so


def _lines(apk: Path, verdict: Verdict, misaligned: list[Misaligned]) -> Iterator[str]:
    schemes = " ".join(f"v{scheme}" for scheme in verdict.required)
    outcome = f"verifies ({schemes})" if verdict.verifies else "does not verify"
    yield f"{apk}: {outcome} from API level {verdict.min_sdk} on"
    yield from (f"signer    SHA-256 {digest}" for digest in verdict.certificates_sha256)
    for issue in verdict.issues:
        yield f"{'remark' if issue.is_remark else 'issue':9} {issue.sentence}"
    for item in misaligned:
        yield f"remark    {item.sentence}"
