"""The content digests of APK Signature Scheme v2 and v3: over everything but the signing block itself.

Source: source.android.com, "APK Signature Scheme v2", "Integrity-protected contents"; for the Merkle tree
apksig ``VerityTreeBuilder``: SHA-256 over pages of 4 KiB with a salt of 8 zero bytes, and the length behind
the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from lawow.formats.bytes import align_up
from lawow.formats.signing.algorithms import SHA256, SHA512, VERITY_SHA256

__all__ = ["ApkContent"]

_CHUNK_BYTES = 1 << 20
_PAGE_BYTES = 4096
_SALT = bytes(8)

Part = bytes | memoryview


class ApkContent:
    """The three parts that are digested, and their digests, each computed once and when it is needed.

    `entries` is everything before the signing block, `end` the end record whose directory offset points to
    where the signing block starts.
    """

    __slots__ = ("_digests", "_parts")

    def __init__(self, entries: Part, directory: Part, end: Part) -> None:
        self._parts = (memoryview(entries), memoryview(directory), memoryview(end))
        self._digests: dict[str, bytes] = {}

    def digest(self, kind: str) -> bytes:
        """Return the digest of a kind that `lawow.formats.signing.algorithms` names."""
        if kind not in self._digests:
            self._digests[kind] = _DIGESTS[kind](self._parts)
        return self._digests[kind]


def _chunked(parts: Sequence[memoryview], hash_name: str) -> bytes:
    digests: list[bytes] = []
    for part in parts:
        for start in range(0, len(part), _CHUNK_BYTES):
            chunk = part[start : start + _CHUNK_BYTES]
            digest = hashlib.new(hash_name, b"\xa5" + len(chunk).to_bytes(4, "little"))
            digest.update(chunk)
            digests.append(digest.digest())
    return hashlib.new(hash_name, b"\x5a" + len(digests).to_bytes(4, "little") + b"".join(digests)).digest()


def _verity(parts: Sequence[memoryview]) -> bytes:
    entries, directory, end = parts
    padding = bytes(align_up(len(entries), _PAGE_BYTES) - len(entries))
    tail = b"".join((bytes(entries[len(entries) // _PAGE_BYTES * _PAGE_BYTES :]), padding, directory, end))
    whole_pages = entries[: len(entries) // _PAGE_BYTES * _PAGE_BYTES]
    level = _page_digests((whole_pages, memoryview(tail)))
    while len(level) > 32:
        level = _page_digests((memoryview(level),))
    length = len(entries) + len(padding) + len(directory) + len(end)
    return level + length.to_bytes(8, "little")


def _page_digests(parts: Iterable[memoryview]) -> bytes:
    digests: list[bytes] = []
    for part in parts:
        for start in range(0, len(part), _PAGE_BYTES):
            page = bytes(part[start : start + _PAGE_BYTES])
            digests.append(hashlib.sha256(_SALT + page.ljust(_PAGE_BYTES, b"\0")).digest())
    return b"".join(digests)


_DIGESTS: dict[str, Callable[[Sequence[memoryview]], bytes]] = {
    SHA256: lambda parts: _chunked(parts, "sha256"),
    SHA512: lambda parts: _chunked(parts, "sha512"),
    VERITY_SHA256: _verity,
}
