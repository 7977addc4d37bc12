"""Custom sections of a built module: names stay, what tells of this machine goes, the WIT is added."""

from __future__ import annotations

from lawow.formats.bytes import ByteReader, encode_uleb128
from lawow.formats.wasm import WIT_SECTION

__all__ = ["with_wit", "without_debug_sections"]

_HEADER_BYTES = 8


def without_debug_sections(module: bytes) -> bytes:
    """Return the module without custom sections other than ``name``: they hold paths of this machine."""
    reader = ByteReader(module, _HEADER_BYTES, structure="section")
    out = bytearray(module[:_HEADER_BYTES])
    while reader.remaining:
        kind, size = reader.read_u8(), reader.read_uleb128()
        body = reader.read_bytes(size)
        if kind == 0:
            inner = ByteReader(body)
            if inner.read_bytes(inner.read_uleb128()) != b"name":
                continue
        out += bytes((kind,)) + encode_uleb128(size) + body
    return bytes(out)


def with_wit(module: bytes, text: str) -> bytes:
    """Return the module with its interface as a custom section at the end."""
    name, content = WIT_SECTION.encode(), text.encode()
    body = encode_uleb128(len(name)) + name + content
    return module + b"\0" + encode_uleb128(len(body)) + body
