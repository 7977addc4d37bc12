"""Frames of the data plane: their numbers, layouts, and the way from bytes to fields and back.

A frame is ``u32 length | u32 id | u16 operation | u16 flags | payload``, little-endian; `length` counts all
that follows it, so it is 8 and the payload's size. `lawow.channel.payloads` has what is in them.
Defined by docs/PROTOCOL.md.
"""

from __future__ import annotations

import struct
from enum import IntEnum

__all__ = [
    "BULK",
    "HEAD",
    "HEAD_BYTES",
    "MAGIC",
    "MAX_ID",
    "OPTIONAL",
    "PART",
    "SUBPROTOCOL",
    "VERSION",
    "Op",
    "frame",
]

HEAD = struct.Struct("<IIHH")
HEAD_BYTES = HEAD.size
COUNTED_BYTES = 8
"""What `length` counts beside the payload: id, operation and flags."""
MAGIC = b"LWOW"
VERSION = 1
SUBPROTOCOL = "lawow.v1"
"""What WebSocket calls a stream of these frames, cut into binary messages anywhere."""
MAX_ID = 0xFFFFFFFF
PART = 0x0001
"""Flag: the payload is incomplete; its size follows the head, its rest follows in CONTINUE frames."""
OPTIONAL = 0x8000
"""An operation with this bit is skipped where it is unknown, every other one ends the connection."""


class Op(IntEnum):
    """The operations of version 1."""

    HELLO = 0x01
    WELCOME = 0x02
    PING = 0x03
    PONG = 0x04
    DRAIN = 0x05
    GOODBYE = 0x06
    ACK = 0x07
    BIND = 0x10
    BOUND = 0x11
    CALL = 0x12
    RESULT = 0x13
    TRAP = 0x14
    REFUSED = 0x15
    FAILED = 0x16
    CANCEL = 0x17
    CONTINUE = 0x18
    OPEN = 0x20
    OPENED = 0x21
    MESSAGE = 0x22
    CREDIT = 0x23
    CLOSE = 0x24
    RESET = 0x25
    MOVE = 0x26
    MOVED = 0x27


BULK = frozenset({Op.CALL, Op.RESULT, Op.MESSAGE, Op.CONTINUE})
"""Operations with values in them, which may be as long as a frame may be; all others are short."""


def frame(frame_id: int, operation: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return a whole frame."""
    return HEAD.pack(len(payload) + COUNTED_BYTES, frame_id, operation, flags) + payload
