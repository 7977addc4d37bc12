"""Change sections of a WebAssembly module and leave all others as they are, byte for byte.

An edit is a function from a section's content, or None where the module has no such section, to the new
content, or None for no section. Sections are told by number: WebAssembly specification 3.0, 5.5 (modules).
What is edited must have been read by `lawow.formats.wasm` before; here no content is checked.
"""

from __future__ import annotations

from lawow.formats.bytes import ByteReader, encode_uleb128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Edit = Callable[[bytes | None], bytes | None]

__all__ = [
    "CODE",
    "EXPORT",
    "FUNCTION",
    "GLOBAL",
    "START",
    "TABLE",
    "TYPE",
    "appended",
    "custom_section",
    "edit_sections",
    "sized",
    "vector",
]

TYPE, FUNCTION, TABLE, GLOBAL, EXPORT, START, CODE = 1, 3, 4, 6, 7, 8, 10

_ORDER = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)
"""Sections in the order in which a module has them; custom ones, number 0, stand anywhere."""

_HEADER_BYTES = 8


def edit_sections(wasm: bytes, edits: Mapping[int, Edit]) -> bytes:
    """Return the module with every edit done. Raises `FormatError` if the sections' frames are damaged."""
    reader = ByteReader(wasm, structure="module")
    parts = [reader.read_bytes(_HEADER_BYTES)]
    waiting = sorted(edits, key=_ORDER.index)
    while reader.remaining:
        id_ = reader.read_u8()
        content = reader.read_bytes(reader.read_uleb128())
        while id_ and waiting and _ORDER.index(waiting[0]) < _ORDER.index(id_):
            missing = waiting.pop(0)
            parts.append(_section(missing, edits[missing](None)))
        if id_ in edits:
            waiting.remove(id_)
            parts.append(_section(id_, edits[id_](content)))
        else:
            parts.append(_section(id_, content))
    parts += [_section(missing, edits[missing](None)) for missing in waiting]
    return b"".join(parts)


def appended(content: bytes | None, elements: Sequence[bytes]) -> bytes:
    """Return the content of a section that is a vector, with elements added at its end."""
    reader = ByteReader(content or b"\0", structure="section")
    count = reader.read_uleb128()
    return encode_uleb128(count + len(elements)) + reader.read_bytes(reader.remaining) + b"".join(elements)


def custom_section(name: str, content: bytes) -> bytes:
    """Return a custom section, to be appended to a module."""
    return _section(0, sized(name.encode()) + content)


def sized(content: bytes) -> bytes:
    """Return the content behind its length: a name, a function body."""
    return encode_uleb128(len(content)) + content


def vector(elements: Sequence[bytes]) -> bytes:
    """Return the elements behind their count."""
    return encode_uleb128(len(elements)) + b"".join(elements)


def _section(id_: int, content: bytes | None) -> bytes:
    return b"" if content is None else bytes((id_,)) + sized(content)
