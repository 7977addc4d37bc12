"""PNG files of one colour, made by hand, and a module that shows them in turns."""

from __future__ import annotations

import struct
import zlib

from tests.edge.builders import Module, module_of

__all__ = ["png", "showing"]


def png(width: int, height: int, colour: tuple[int, int, int] = (11, 122, 117)) -> bytes:
    """Return a picture of 8 bits a channel."""
    rows = (b"\0" + bytes(colour) * width) * height
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*item) for item in (*chunks, (b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def showing(*pictures: bytes) -> Module:
    """Return a module whose export ``picture`` returns these, one after the other; others are no views."""
    places, data, at = b"", b"", 1024
    for picture in pictures:
        places += struct.pack("<II", at, len(picture))
        data += picture
        at += len(picture)

    def text(content: bytes) -> str:
        return "".join(f"\\{byte:02x}" for byte in content)

    return module_of(f"""(module (memory (export "memory") 4) (global $next (mut i32) (i32.const 0))
  (data (i32.const 16) "{text(places)}") (data (i32.const 1024) "{text(data)}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "shown") (result i32) (global.get $next))
  (func (export "add") (param i32) (result i32) (local.get 0))
  (func (export "broken") (result i32) unreachable)
  (func (export "picture") (result i32) (local $at i32)
    (local.set $at (i32.add (i32.const 16) (i32.mul (i32.const 8)
      (i32.rem_u (global.get $next) (i32.const {len(pictures)})))))
    (global.set $next (i32.add (global.get $next) (i32.const 1)))
    (local.get $at)))""")
