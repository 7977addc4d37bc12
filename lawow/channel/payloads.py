"""Payloads of the frames that have no values in them, as dataclasses whose annotations are the layout.

The fields follow each other as they are written here, little-endian, nothing in between: ``U8`` to ``U64``
and ``I32`` are integers; ``Text`` (UTF-8), ``Blob`` and ``Code`` (kebab-case, or empty) have a u16 length
before them; ``Ids``, ``Marks`` and ``Texts`` a u16 count. Bytes behind the last field are an error, except in
HELLO and WELCOME, which a later version may extend. Whatever the bytes are, nothing but `RemoteProtocolError`
escapes from `read_payload`. Defined by docs/PROTOCOL.md, which is drawn from `PAYLOADS`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, TypeVar, get_type_hints

from lawow.channel.frames import MAGIC, Op
from lawow.errors import FormatError, LocalProtocolError, RemoteProtocolError
from lawow.formats.bytes import ByteReader, ByteWriter
from lawow.limits import CHANNEL

__all__ = [
    "PAYLOADS",
    "Ack",
    "Bind",
    "Bound",
    "CallKnown",
    "Close",
    "Credit",
    "Echo",
    "Hello",
    "Kind",
    "Mark",
    "Move",
    "Moved",
    "Nothing",
    "Notice",
    "Open",
    "Opened",
    "Policy",
    "Refusal",
    "Reset",
    "Trap",
    "Welcome",
    "fields_of",
    "read_payload",
    "write_payload",
]

CODE = re.compile(r"([a-z][a-z0-9-]{0,63})?")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a channel got: the highest sequence number received on `id`; 0 stands for none."""

    id: int
    received: int


class CallKnown(IntEnum):
    """What the server knows, after a connection was lost, of a call without an outcome."""

    NEVER_SEEN = 0
    RUNNING = 1
    KEPT = 2
    FORGOTTEN = 3


class Kind(IntEnum):
    """What a channel is opened to."""

    ENDPOINT = 0
    TOPIC = 1


class Policy(IntEnum):
    """What a topic does for a receiver that is slow."""

    BLOCK = 0
    DROP_OLDEST = 1
    DISCONNECT = 2


U8 = Annotated[int, "u8"]
U16 = Annotated[int, "u16"]
U32 = Annotated[int, "u32"]
U64 = Annotated[int, "u64"]
I32 = Annotated[int, "i32"]
Magic = Annotated[bytes, "magic"]
Text = Annotated[str, "text"]
Code = Annotated[str, "code"]
Blob = Annotated[bytes, "blob"]
Ids = Annotated[tuple[int, ...], "ids"]
Marks = Annotated[tuple[Mark, ...], "marks"]
Texts = Annotated[tuple[str, ...], "texts"]


@dataclass(frozen=True, slots=True)
class Hello:
    """The client's first frame: versions it speaks, who it is, what it takes, and what it lost sight of."""

    magic: Magic
    lowest: U16
    highest: U16
    frame_bytes: U32
    result_bytes: U32
    token: Blob
    session: Blob
    calls: Ids
    channels: Marks


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server's answer: the version, what it takes, and what it knows of a session that goes on."""

    version: U16
    resumed: U16
    frame_bytes: U32
    call_bytes: U32
    calls: U32
    bindings: U32
    channels: U32
    session: Blob
    calls_known: Blob
    channels_known: Marks


@dataclass(frozen=True, slots=True)
class Echo:
    """PING and PONG: a PONG has the number of its PING."""

    number: U64


@dataclass(frozen=True, slots=True)
class Notice:
    """DRAIN and GOODBYE: no id above `last_id` was started, nor will be on this connection."""

    last_id: U32
    retry_after_ms: U32
    code: Code
    detail: Text


@dataclass(frozen=True, slots=True)
class Ack:
    """The client has the outcomes of these calls; the server need not keep them."""

    ids: Ids


@dataclass(frozen=True, slots=True)
class Bind:
    """A function, which calls name by the id of this frame."""

    target: Text
    export: Text
    signature: Text


@dataclass(frozen=True, slots=True)
class Bound:
    """The function is there and took so long to prepare."""

    prepare_us: U32


@dataclass(frozen=True, slots=True)
class Trap:
    """The guest trapped; `status` is that of an exit, `guest_frames` has the innermost function first."""

    prepare_us: U32
    run_us: U32
    status: I32
    code: Code
    detail: Text
    guest_frames: Texts


@dataclass(frozen=True, slots=True)
class Refusal:
    """REFUSED: nothing of it was done. FAILED: it was begun, how far it got is unknown."""

    retry_after_ms: U32
    code: Code
    detail: Text


@dataclass(frozen=True, slots=True)
class Open:
    """A channel: to what, of which type, and how much the client takes before it gives credit."""

    window_bytes: U32
    kind: U8
    policy: U8
    received: U64
    name: Text
    type: Text
    ticket: Blob


@dataclass(frozen=True, slots=True)
class Opened:
    """The channel is there; the server has taken all up to `received`, which is not 0 after a move."""

    window_bytes: U32
    received: U64


@dataclass(frozen=True, slots=True)
class Credit:
    """The receiver has taken all up to `taken`, and takes `window_bytes` beyond that."""

    taken: U64
    window_bytes: U32


@dataclass(frozen=True, slots=True)
class Close:
    """The last of a direction's sequence."""

    sequence: U64


@dataclass(frozen=True, slots=True)
class Reset:
    """The channel ends in both directions, at once."""

    code: Code
    detail: Text


@dataclass(frozen=True, slots=True)
class Move:
    """The client asks the flexible end to move; where to is the application's word."""

    destination: Text


@dataclass(frozen=True, slots=True)
class Moved:
    """The flexible end is frozen: what it received and sent, and where it goes on with which ticket."""

    received: U64
    sent: U64
    endpoint: Text
    ticket: Blob


@dataclass(frozen=True, slots=True)
class Nothing:
    """CANCEL has no payload."""


Payload = (
    Hello | Welcome | Echo | Notice | Ack | Bind | Bound | Trap | Refusal
    | Open | Opened | Credit | Close | Reset | Move | Moved | Nothing
)  # fmt: skip

PAYLOADS: dict[Op, type[Payload]] = {
    Op.HELLO: Hello,
    Op.WELCOME: Welcome,
    Op.PING: Echo,
    Op.PONG: Echo,
    Op.DRAIN: Notice,
    Op.GOODBYE: Notice,
    Op.ACK: Ack,
    Op.BIND: Bind,
    Op.BOUND: Bound,
    Op.TRAP: Trap,
    Op.REFUSED: Refusal,
    Op.FAILED: Refusal,
    Op.CANCEL: Nothing,
    Op.OPEN: Open,
    Op.OPENED: Opened,
    Op.CREDIT: Credit,
    Op.CLOSE: Close,
    Op.RESET: Reset,
    Op.MOVE: Move,
    Op.MOVED: Moved,
}
"""Every operation but CALL, RESULT, MESSAGE and CONTINUE, which are read where they arrive."""
MAY_GROW = {Hello, Welcome}

P = TypeVar("P")
FieldValue = int | str | bytes | tuple[int, ...] | tuple[Mark, ...] | tuple[str, ...]


def fields_of(payload: type[object]) -> tuple[tuple[str, str], ...]:
    """Return name and kind of each field in the order in which they travel."""
    return _FIELDS[payload]


def read_payload(expected: type[P], data: bytes | bytearray | memoryview) -> P:
    """Return the payload in `data`. Raises `RemoteProtocolError`."""
    reader = ByteReader(bytes(data), structure=expected.__name__)
    try:
        values = {name: _READERS[kind](reader) for name, kind in _FIELDS[expected]}
        if reader.remaining and expected not in MAY_GROW:
            raise reader.fail("bytes behind the end", found=reader.remaining, allowed=0)
    except FormatError as error:
        raise RemoteProtocolError(str(error)) from None
    return expected(**values)


def write_payload(payload: Payload) -> bytes:
    """Return the bytes. Raises `LocalProtocolError` for a value that does not fit its field."""
    writer = ByteWriter()
    for name, kind in _FIELDS[type(payload)]:
        value = getattr(payload, name)
        try:
            _WRITERS[kind](writer, value)
        except (struct.error, UnicodeEncodeError, ValueError):
            place = f"{type(payload).__name__}.{name}"
            raise LocalProtocolError(f"{place}: {value!r:.80} does not fit ({kind})") from None
    if len(writer) > CHANNEL.control_bytes:
        raise LocalProtocolError(f"{type(payload).__name__} of {len(writer)} bytes (allowed 16 KiB)")
    return bytes(writer.data)


def _read_magic(reader: ByteReader) -> bytes:
    found = reader.read_bytes(len(MAGIC))
    if found != MAGIC:
        raise reader.fail("another protocol speaks", found=found, allowed=MAGIC)
    return found


def _read_blob(reader: ByteReader) -> bytes:
    return reader.read_bytes(reader.read_u16())


def _read_text(reader: ByteReader) -> str:
    data = _read_blob(reader)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise reader.fail("text that is not UTF-8") from None


def _read_code(reader: ByteReader) -> str:
    text = _read_text(reader)
    if not CODE.fullmatch(text):
        raise reader.fail("not a code", found=repr(text[:40]), allowed="up to 64 of a-z, 0-9 and -")
    return text


def _read_ids(reader: ByteReader) -> tuple[int, ...]:
    return tuple(reader.read_u32() for _ in range(reader.read_u16()))


def _read_marks(reader: ByteReader) -> tuple[Mark, ...]:
    return tuple(Mark(reader.read_u32(), reader.read_u64()) for _ in range(reader.read_u16()))


def _read_texts(reader: ByteReader) -> tuple[str, ...]:
    return tuple(_read_text(reader) for _ in range(reader.read_u16()))


def _read_i32(reader: ByteReader) -> int:
    return (reader.read_u32() ^ 1 << 31) - (1 << 31)


_READERS: dict[str, Callable[[ByteReader], FieldValue]] = {
    "u8": ByteReader.read_u8,
    "u16": ByteReader.read_u16,
    "u32": ByteReader.read_u32,
    "u64": ByteReader.read_u64,
    "i32": _read_i32,
    "magic": _read_magic,
    "blob": _read_blob,
    "text": _read_text,
    "code": _read_code,
    "ids": _read_ids,
    "marks": _read_marks,
    "texts": _read_texts,
}


def _write_u8(writer: ByteWriter, value: int) -> None:
    writer.write_u8(value)  # ValueError beyond a byte


def _write_i32(writer: ByteWriter, value: int) -> None:
    writer.write_bytes(struct.pack("<i", value))


def _write_blob(writer: ByteWriter, value: bytes) -> None:
    writer.write_u16(len(value))
    writer.write_bytes(value)


def _write_text(writer: ByteWriter, value: str) -> None:
    _write_blob(writer, value.encode())


def _write_code(writer: ByteWriter, value: str) -> None:
    if not CODE.fullmatch(value):
        raise ValueError(value)
    _write_text(writer, value)


def _write_ids(writer: ByteWriter, value: tuple[int, ...]) -> None:
    writer.write_u16(len(value))
    for item in value:
        writer.write_u32(item)


def _write_marks(writer: ByteWriter, value: tuple[Mark, ...]) -> None:
    writer.write_u16(len(value))
    for mark in value:
        writer.write_u32(mark.id)
        writer.write_u64(mark.received)


def _write_texts(writer: ByteWriter, value: tuple[str, ...]) -> None:
    writer.write_u16(len(value))
    for item in value:
        _write_text(writer, item)


_WRITERS: dict[str, Callable[..., None]] = {
    "u8": _write_u8,
    "u16": ByteWriter.write_u16,
    "u32": ByteWriter.write_u32,
    "u64": ByteWriter.write_u64,
    "i32": _write_i32,
    "magic": ByteWriter.write_bytes,
    "blob": _write_blob,
    "text": _write_text,
    "code": _write_code,
    "ids": _write_ids,
    "marks": _write_marks,
    "texts": _write_texts,
}


def _fields(payload: type[Payload]) -> tuple[tuple[str, str], ...]:
    hints = get_type_hints(payload, include_extras=True)
    return tuple((name, hint.__metadata__[0]) for name, hint in hints.items())


_FIELDS: dict[type[object], tuple[tuple[str, str], ...]] = {
    payload: _fields(payload) for payload in set(PAYLOADS.values())
}
