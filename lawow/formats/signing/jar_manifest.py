"""The manifest and signature files of a signed JAR: sections of attributes, with their bytes for the digests.

Source: JAR File Specification, "JAR Manifest" and "Signed JAR File". Refused are lines without a colon,
sections without a name and names that occur twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from lawow.errors import FormatError

__all__ = ["JarManifest", "Section", "digests_of", "matches", "read_jar_manifest"]

# Attribute prefix -> hash, and the first API level whose verifier reads it.
_DIGESTS = {
    "sha1": ("sha1", 0),
    "sha": ("sha1", 0),
    "sha-256": ("sha256", 18),
    "sha-384": ("sha384", 9),
    "sha-512": ("sha512", 9),
}

_MAX_LINES = 4_096  # of a section; the longest name that ZIP allows takes 950


@dataclass(frozen=True, slots=True)
class Section:
    """Attributes, their names in lower case, and the bytes of the section with its closing empty line."""

    attributes: dict[str, str]
    encoding: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The entry that the section is about."""
        return self.attributes.get("name", "")


@dataclass(frozen=True, slots=True)
class JarManifest:
    """A manifest or signature file: the main section and the others by their names."""

    main: Section
    sections: dict[str, Section] = field(repr=False)
    encoding: bytes = field(repr=False)


def read_jar_manifest(data: bytes) -> JarManifest:
    """Read a manifest or signature file. Raises `FormatError`."""
    all_sections = list(_sections(data))
    if not all_sections:
        raise FormatError("is empty")
    by_name: dict[str, Section] = {}
    for index, section in enumerate(all_sections[1:], 1):
        if not section.name:
            raise FormatError("has no name", structure="section", index=index)
        if by_name.setdefault(section.name, section) is not section:
            raise FormatError(
                "is the second of its name", structure="section", index=index, found=section.name
            )
    return JarManifest(all_sections[0], by_name, data)


def digests_of(section: Section, suffix: str, min_sdk: int) -> dict[str, str]:
    """Return hash name -> digest in base64 of the attributes ``<algorithm><suffix>``.

    Empty if there is none that the verifier of `min_sdk` reads, whatever others there are.
    """
    found = {}
    is_read_from_start = False
    for label, (hash_name, first_sdk) in _DIGESTS.items():
        value = section.attributes.get(f"{label}{suffix}")
        if value is not None:
            found[hash_name] = value
            is_read_from_start |= first_sdk <= min_sdk
    return found if is_read_from_start else {}


def matches(digests: dict[str, str], data: bytes) -> bool:
    """Whether all of the digests are those of `data`."""
    return all(
        base64.b64encode(hashlib.new(name, data).digest()).decode("ascii") == value
        for name, value in digests.items()
    )


def _sections(data: bytes) -> Iterator[Section]:
    lines: list[bytes] = []
    for line in data.splitlines(keepends=True):
        is_empty = not line.rstrip(b"\r\n")
        if not is_empty:
            lines.append(line)
        elif lines:
            yield _section([*lines, line])
            lines = []
    if lines:
        yield _section(lines)


def _section(lines: list[bytes]) -> Section:
    if len(lines) > _MAX_LINES:
        raise FormatError("has too many lines", structure="section", found=len(lines), allowed=_MAX_LINES)
    whole: list[bytearray] = []
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text.startswith(b" ") and whole:
            whole[-1] += text[1:]
        elif text:
            whole.append(bytearray(text))
    attributes = {}
    for text_line in whole:
        name, colon, value = text_line.decode("utf-8", "replace").partition(":")
        if not colon:
            raise FormatError("has a line without a colon", structure="section", found=repr(name[:70]))
        attributes[name.lower()] = value.strip()
    return Section(attributes, b"".join(lines))
