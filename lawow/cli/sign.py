"""``lawow sign``: sign any APK with schemes v2 and v3, and v1 where old Androids need it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lawow.cli.keys import KeyOptions, key_options, load_key, read_file, require_key
from lawow.durable import removed_if_nobody_hears, write_file
from lawow.errors import FormatError, LawowError, Refused
from lawow.limits import ARCHIVE

__all__ = ["command"]


@click.command("sign", short_help="Sign an APK.")
@click.argument("apk", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@key_options()
@click.option("--min-sdk", type=click.IntRange(1, 10_000), help="Instead of the manifest's minSdkVersion.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: NAME-signed.apk.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: path, bytes, schemes, certificate_sha256.")
def command(
    apk: Path,
    keys: KeyOptions,
    min_sdk: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Sign APK: old signatures go, all else stays as it is, and where it is unless Android could not map it.

    Stored libraries have to stand on 16 KB, as Android 15 wants, other stored entries on 4 bytes. The result
    is verified before it gets its name.
    Passwords come from LAWOW_KEYSTORE_PASSWORD and LAWOW_KEY_PASSWORD, or are asked for on a terminal.
    """
    from lawow.formats.signing import resign_apk, verify_apk

    require_key(keys, subject=f"{apk} needs a key to be signed with")
    target = out or apk.with_name(f"{apk.stem}-signed.apk")
    if target.exists() and target.samefile(apk):
        raise Refused(f"{target} is the input itself; choose another name with --out")
    data = read_file(apk, ARCHIVE.archive_bytes)
    key = load_key(keys)
    try:
        signed = resign_apk(data, key, min_sdk=min_sdk)
    except FormatError as error:
        raise error.within(str(apk)) from None
    verdict = verify_apk(signed, min_sdk=min_sdk)
    if not verdict.verifies:
        sentences = "; ".join(issue.sentence for issue in verdict.issues)
        raise LawowError(f"{apk}: the result does not verify, so nothing was written: {sentences}")
    write_file(target, signed)
    facts = {
        "path": str(target),
        "bytes": len(signed),
        "schemes": list(verdict.required),
        "certificate_sha256": key.certificate_sha256,
    }
    schemes = " ".join(f"v{scheme}" for scheme in verdict.required)
    with removed_if_nobody_hears([target], target.parent):
        if as_json:
            click.echo(json.dumps(facts))
        else:
            click.echo(f"{target} ({len(signed):,} bytes), {schemes}, by {key.certificate_sha256}")
