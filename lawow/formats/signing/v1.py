"""The JAR signature (v1), the only one that Android knows before 7.0: digests of all entries in files of
META-INF.

SHA-1 below API level 18, which knows nothing else, SHA-256 from there on; the signature is PKCS#7
SignedData without signed attributes, as the oldest verifiers want it. Sources: JAR File Specification,
"Signed JAR File"; RFC 2315.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from lawow.errors import FormatError, KeystoreError
from lawow.formats.signing.key import SigningKey
from lawow.formats.signing.pkcs7 import encode_signed_data
from lawow.formats.zip import ZipEntry, make_entry, require_total
from lawow.formats.zip.entry import shown_name
from lawow.limits import ARCHIVE

__all__ = [
    "MANIFEST_NAME",
    "STRIPPING_HEADER",
    "is_signature_file",
    "sign_v1",
]

MANIFEST_NAME = b"META-INF/MANIFEST.MF"
STRIPPING_HEADER = "X-Android-APK-Signed"

_FIRST_SHA256_SDK = 18
_FIRST_EC_SDK = 21  # older ones fail on EC signatures in practice, whatever the documents say
_LINE_BYTES = 70  # the specification allows 72 with the line end
_CREATOR = "1.0 (LAWOW)"
_SIGNATURE_SUFFIXES = (b".SF", b".RSA", b".DSA", b".EC")


def is_signature_file(name: bytes) -> bool:
    """Whether an entry belongs to a JAR signature or a source stamp, both of which a new signature
    replaces."""
    if name == b"stamp-cert-sha256":
        return True
    folder, _, file = name.upper().rpartition(b"/")
    if folder != b"META-INF":
        return False
    return file == b"MANIFEST.MF" or file.endswith(_SIGNATURE_SUFFIXES) or file.startswith(b"SIG-")


def sign_v1(
    entries: Iterable[ZipEntry], key: SigningKey, *, min_sdk: int, further_schemes: Sequence[int]
) -> list[ZipEntry]:
    """Return the three files of a JAR signature over `entries`, which must hold no older ones.

    Reads, that is inflates, every entry. Raises `KeystoreError` for an EC key with a `min_sdk` below 21,
    `FormatError` for an entry that cannot be read, `LimitExceeded` above `ARCHIVE.inflated_bytes` in all.
    """
    entries = sorted(entries, key=lambda item: item.name)
    require_total(
        entries, "inflated_bytes", ARCHIVE.inflated_bytes, subject="a v1 signature reads all entries"
    )
    if key.algorithm.key_type == "EC" and min_sdk < _FIRST_EC_SDK:
        message = (
            f"an EC key cannot sign for minSdkVersion {min_sdk}: below {_FIRST_EC_SDK} Android needs RSA"
        )
        raise KeystoreError(message)
    hash_name, label = ("sha1", "SHA1") if min_sdk < _FIRST_SHA256_SDK else ("sha256", "SHA-256")
    manifest = [_section([("Manifest-Version", "1.0"), ("Created-By", _CREATOR)])]
    signed = []
    for entry in entries:
        if entry.name.endswith(b"/"):
            continue
        if b"\n" in entry.name or b"\r" in entry.name:
            message = "has a line end in its name, with which a v1 signature could say anything"
            raise FormatError(message).within(shown_name(entry.name))
        section = _entry_section(entry.path, label, _content_digest(entry, hash_name))
        manifest.append(section)
        signed.append(_entry_section(entry.path, label, _digest(section, hash_name)))
    manifest_file = b"".join(manifest)
    head = [("Signature-Version", "1.0"), ("Created-By", _CREATOR)]
    head.append((f"{label}-Digest-Manifest", _digest(manifest_file, hash_name)))
    if further_schemes:
        head.append((STRIPPING_HEADER, ", ".join(map(str, further_schemes))))
    signature_file = b"".join((_section(head), *signed))
    return [
        make_entry(MANIFEST_NAME, manifest_file),
        make_entry("META-INF/CERT.SF", signature_file),
        make_entry(
            f"META-INF/CERT.{key.algorithm.key_type}", encode_signed_data(signature_file, key, hash_name)
        ),
    ]


def _content_digest(entry: ZipEntry, hash_name: str) -> str:
    digest = hashlib.new(hash_name)
    for piece in entry.read_pieces():
        digest.update(piece)
    return base64.b64encode(digest.digest()).decode("ascii")


def _digest(data: bytes, hash_name: str) -> str:
    return base64.b64encode(hashlib.new(hash_name, data).digest()).decode("ascii")


def _entry_section(path: str, label: str, digest: str) -> bytes:
    return _section([("Name", path), (f"{label}-Digest", digest)])


def _section(attributes: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(_attribute(name, value) for name, value in attributes) + b"\r\n"


def _attribute(name: str, value: str) -> bytes:
    """Return a line, continued where it is too long. Splits bytes, not characters, as `java.util.jar`
    does."""
    line = f"{name}: {value}".encode()
    pieces = [line[:_LINE_BYTES]]
    pieces += [
        b" " + line[start : start + _LINE_BYTES - 1]
        for start in range(_LINE_BYTES, len(line), _LINE_BYTES - 1)
    ]
    return b"\r\n".join(pieces) + b"\r\n"
