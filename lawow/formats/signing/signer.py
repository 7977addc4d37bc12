"""Signing a whole APK: v2 and v3, and v1 where Android before 7.0 can install it. RSA gives the same file
every time."""

from __future__ import annotations

from collections.abc import Sequence

from lawow.errors import FormatError
from lawow.formats.axml import read_manifest
from lawow.formats.bytes import align_up
from lawow.formats.signing import v2, v3
from lawow.formats.signing.block import BLOCK_ALIGNMENT_BYTES, encode_signing_block
from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.key import SigningKey
from lawow.formats.signing.v1 import is_signature_file, sign_v1
from lawow.formats.zip import (
    ZipArchive,
    ZipEntry,
    end_of_central_directory,
    layout_zip,
    read_zip,
    revise_zip,
)
from lawow.limits import ARCHIVE

__all__ = ["minimum_sdk", "resign_apk", "sign_apk"]

_MANIFEST_NAME = b"AndroidManifest.xml"


def sign_apk(entries: Sequence[ZipEntry], key: SigningKey, *, min_sdk: int) -> bytes:
    """Return the signed, aligned APK that holds `entries` in their order, without their old signature files.

    `min_sdk` is the manifest's; below 24 a v1 signature is added, for which every entry is inflated. Raises
    what `layout_zip` and `sign_v1` raise.
    """
    kept = _with_v1(entries, key, min_sdk)
    body, directory = layout_zip(kept)
    return _sealed(_padded(body), directory, len(kept), key)


def resign_apk(data: bytes | memoryview, key: SigningKey, *, min_sdk: int | None = None) -> bytes:
    """Return the APK with this key's signatures instead of its own, and all else as it is.

    An aligned APK without v1 signature, old or new, changes in its signing block alone. Otherwise leading
    entries stay where they are, as `revise_zip` says, and the others keep compressed bytes and metadata.
    `min_sdk` is by default the manifest's. Raises `FormatError` and `LimitExceeded` for what is no APK.
    """
    archive = read_zip(data)
    kept = _with_v1(archive.entries, key, min_sdk or minimum_sdk(archive))
    revision = revise_zip(data, archive, kept)
    takes_old_place = revision.is_unchanged and archive.signing_block is not None
    body = revision.body if takes_old_place else _padded(revision.body)
    return _sealed(body, revision.directory, revision.entries, key, archive.comment)


def _with_v1(entries: Sequence[ZipEntry], key: SigningKey, min_sdk: int) -> list[ZipEntry]:
    """Return the entries without old signature files, and with new ones where some Android needs them."""
    kept = [entry for entry in entries if not is_signature_file(entry.name)]
    if min_sdk < v2.FIRST_SDK:
        kept += sign_v1(kept, key, min_sdk=min_sdk, further_schemes=(2, 3))
    return kept


def _padded(body: bytes) -> bytes:
    return body + bytes(align_up(len(body), BLOCK_ALIGNMENT_BYTES) - len(body))


def _sealed(body: bytes, directory: bytes, entries: int, key: SigningKey, comment: bytes = b"") -> bytes:
    """Return the file with the signing block between body and directory."""

    def end(offset: int) -> bytes:
        return end_of_central_directory(
            entries, directory_bytes=len(directory), directory_offset=offset, comment=comment
        )

    content = ApkContent(body, directory, end(len(body)))
    # v3 is looked at from API level 28 on; verifiers of v2 on 24 to 27 want its range to reach down to
    # theirs.
    pairs = (
        (v2.IDENTIFIER, v2.encode_v2(key, content, further_scheme=3)),
        (v3.IDENTIFIER, v3.encode_v3(key, content)),
    )
    block = encode_signing_block(pairs)
    return b"".join((body, block, directory, end(len(body) + len(block))))


def minimum_sdk(archive: ZipArchive) -> int:
    """Return the lowest API level that the manifest allows. Raises `FormatError`, also without a manifest."""
    entry = archive.by_name.get(_MANIFEST_NAME)
    if entry is None:
        raise FormatError("AndroidManifest.xml is missing; this is not an APK")
    content = entry.read(ARCHIVE.manifest_bytes)
    try:
        return read_manifest(content).min_sdk
    except FormatError as error:
        raise error.within(_MANIFEST_NAME.decode()) from None
