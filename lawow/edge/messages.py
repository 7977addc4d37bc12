"""What the edge's supervisor and one of its workers say to each other over a socket pair.

A frame is ``u32 length | u8 kind | payload``, little-endian. The supervisor sends `Call`, `Open`, `Save` and
`Close`, for inference `Provide`, and for the data plane `Listen`, `Admit`, `Dismiss` and `Report`; the worker
answers each with `Result`, `Trap` or `Failure`. At its start it is sent `Identity` and sends `Ready`, once.
Texts are UTF-8 behind a u32 length, floats are IEEE 754 doubles. The supervisor takes a worker for hostile,
since a guest may have escaped into it: whatever does not parse, is too long or comes unasked ends the worker.
Only `FormatError` escapes from `read_message`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader, ByteWriter

__all__ = [
    "BAD_ARGUMENTS",
    "BAD_MODULE",
    "BAD_STATE",
    "DEADLINE",
    "DEFECT",
    "HEADER",
    "MAX_PAYLOAD_BYTES",
    "NEEDS_CODE",
    "NO_ROOM",
    "NO_SESSION",
    "TOO_LARGE",
    "Admit",
    "Call",
    "Close",
    "Dismiss",
    "Failure",
    "Identity",
    "Listen",
    "Message",
    "Open",
    "Provide",
    "Ready",
    "Report",
    "Request",
    "Result",
    "Save",
    "Trap",
    "read_header",
    "read_message",
    "write_message",
]

HEADER = struct.Struct("<IB")
DOUBLE = struct.Struct("<d")
MAX_PAYLOAD_BYTES = 4 << 20  # a result of `EdgeLimits.call_bytes`, and as much in lists that come back
MAX_TEXT_BYTES = 1 << 16
MAX_FRAMES = 64
MAX_FRAME_CHARACTERS = 1000

FAILURES = (
    "needs-code",  # the worker lacks the compiled module
    "bad-module",  # it cannot be instantiated, or lacks what the call needs
    "deadline",  # the guest was stopped
    "defect",  # the worker is broken
    "too-large",  # the result is beyond the limit; a session goes on
    "no-room",  # sessions hold the memory that an instance needs
    "no-session",  # the worker does not have it, or its guest has ended itself
    "bad-state",  # it is not one of the module, or the module's cannot be captured
    "bad-arguments",  # they do not fit the signature
)
NEEDS_CODE, BAD_MODULE, DEADLINE, DEFECT, TOO_LARGE, NO_ROOM, NO_SESSION, BAD_STATE, BAD_ARGUMENTS = FAILURES


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has set up its engine and its fences; `fences` names those that the kernel gave it."""

    fences: str

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_text(writer, self.fences)

    @classmethod
    def read(cls, reader: ByteReader) -> Ready:
        """Read the payload."""
        return cls(_read_text(reader))


@dataclass(slots=True)  # not frozen, as `Result`: that takes three times as long to make
class Call:
    """Run `export` of module `digest` until `deadline_seconds` from now.

    `session` names the instance; "" stands for a fresh one.

    With `has_code`, an open file with the compiled module comes along with the frame's header (SCM_RIGHTS);
    its contents have just been verified. Without, the worker has it loaded, or answers ``Failure`` of kind
    ``NEEDS_CODE``. `arguments` and results are bodies as in `lawow.channel.bodies`.
    """

    digest: str
    has_code: bool
    export: str
    signature: str
    deadline_seconds: float
    arguments: bytes | memoryview
    session: str = ""

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        writer.write_u8(self.has_code)
        for text in (self.digest, self.export, self.signature, self.session):
            _write_text(writer, text)
        _write_double(writer, self.deadline_seconds)
        writer.write_bytes(self.arguments)

    @classmethod
    def read(cls, reader: ByteReader) -> Call:
        """Read the payload."""
        has_code = bool(reader.read_u8())
        digest, export, signature, session = (_read_text(reader) for _ in range(4))
        deadline = _read_seconds(reader)
        arguments = reader.read_bytes(reader.remaining)
        return cls(digest, has_code, export, signature, deadline, arguments, session)


@dataclass(frozen=True, slots=True)
class Open:
    """Make an instance of module `digest` and keep it as `session`; answered by an empty `Result`.

    With a `state` (`lawow.formats.state`), the instance goes on where that one was.
    """

    digest: str
    has_code: bool
    session: str
    deadline_seconds: float
    state: bytes = b""

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        writer.write_u8(self.has_code)
        _write_text(writer, self.digest)
        _write_text(writer, self.session)
        _write_double(writer, self.deadline_seconds)
        writer.write_bytes(self.state)

    @classmethod
    def read(cls, reader: ByteReader) -> Open:
        """Read the payload."""
        has_code = bool(reader.read_u8())
        digest, session, seconds = _read_text(reader), _read_text(reader), _read_seconds(reader)
        return cls(digest, has_code, session, seconds, reader.read_bytes(reader.remaining))


@dataclass(frozen=True, slots=True)
class Save:
    """Tell the state of `session`, of module `digest`, which goes on; answered by a `Result` with it."""

    digest: str
    has_code: bool
    session: str
    deadline_seconds: float

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        writer.write_u8(self.has_code)
        _write_text(writer, self.digest)
        _write_text(writer, self.session)
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Save:
        """Read the payload."""
        has_code = bool(reader.read_u8())
        return cls(_read_text(reader), has_code, _read_text(reader), _read_seconds(reader))


@dataclass(frozen=True, slots=True)
class Close:
    """End a session, whether there is one or not; answered by an empty `Result`."""

    digest: str
    session: str
    deadline_seconds: float = 1.0

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_text(writer, self.digest)
        _write_text(writer, self.session)
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Close:
        """Read the payload."""
        return cls(_read_text(reader), _read_text(reader), _read_seconds(reader))


@dataclass(frozen=True, slots=True)
class Provide:
    """Let guests load the model `name`: the open file that comes along, or none of that name any more.

    `descriptor` is that file in the worker, and is no part of the message. Answered by an empty `Result`.
    """

    name: str
    descriptor: int | None = None
    digest: str = ""
    deadline_seconds: float = 2.0

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_text(writer, self.name)
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Provide:
        """Read the payload."""
        return cls(_read_text(reader), deadline_seconds=_read_seconds(reader))


@dataclass(frozen=True, slots=True)
class Identity:
    """The first word to a worker: certificate and key of its data plane as PEM; empty: no TLS, on loopback.

    The certificate is this worker's alone. The edge's own key never gets here, where tenants' code runs.
    """

    pem: bytes

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        writer.write_bytes(self.pem)

    @classmethod
    def read(cls, reader: ByteReader) -> Identity:
        """Read the payload."""
        return cls(reader.read_bytes(reader.remaining))


@dataclass(frozen=True, slots=True)
class Listen:
    """Serve the data plane on the listening socket that comes along; answered by an empty `Result`.

    No call of it may take longer than `call_seconds`; at most `channels` are open at a time.
    """

    call_seconds: float
    channels: int
    digest: str = ""
    deadline_seconds: float = 2.0

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_double(writer, self.call_seconds)
        writer.write_u32(self.channels)
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Listen:
        """Read the payload."""
        return cls(_read_seconds(reader), reader.read_u32(), deadline_seconds=_read_seconds(reader))


@dataclass(frozen=True, slots=True)
class Admit:
    """Let whoever has the token with this SHA-256 (hex) call `session`, and with `has_module` the module.

    Another one for the same `lease` takes the place of the first. Answered by an empty `Result`.
    """

    digest: str
    has_code: bool
    lease: str
    token_sha256: str
    session: str
    has_module: bool
    deadline_seconds: float = 2.0

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        writer.write_u8(self.has_code)
        writer.write_u8(self.has_module)
        for text in (self.digest, self.lease, self.token_sha256, self.session):
            _write_text(writer, text)
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Admit:
        """Read the payload."""
        has_code, has_module = bool(reader.read_u8()), bool(reader.read_u8())
        digest, lease, token_sha256, session = (_read_text(reader) for _ in range(4))
        return cls(digest, has_code, lease, token_sha256, session, has_module, _read_seconds(reader))


@dataclass(frozen=True, slots=True)
class Dismiss:
    """End what `Admit` allowed; clients are told `code`. Answered by an empty `Result`."""

    lease: str
    code: str
    digest: str = ""
    deadline_seconds: float = 2.0

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_text(writer, self.lease)
        _write_text(writer, self.code)
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Dismiss:
        """Read the payload."""
        return cls(_read_text(reader), _read_text(reader), deadline_seconds=_read_seconds(reader))


@dataclass(frozen=True, slots=True)
class Report:
    """Tell how often each lease was used since the last `Report`: answered by `lawow.edge.usage`."""

    digest: str = ""
    deadline_seconds: float = 2.0

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_double(writer, self.deadline_seconds)

    @classmethod
    def read(cls, reader: ByteReader) -> Report:
        """Read the payload."""
        return cls(deadline_seconds=_read_seconds(reader))


@dataclass(slots=True)
class Result:
    """The call returned. `prepare_seconds`: load, instantiate, initialise; `run_seconds`: the call itself."""

    prepare_seconds: float
    run_seconds: float
    results: bytes

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        _write_double(writer, self.prepare_seconds)
        _write_double(writer, self.run_seconds)
        writer.write_bytes(self.results)

    @classmethod
    def read(cls, reader: ByteReader) -> Result:
        """Read the payload."""
        prepare, run = _read_seconds(reader), _read_seconds(reader)
        return cls(prepare, run, reader.read_bytes(reader.remaining))


@dataclass(frozen=True, slots=True)
class Trap:
    """The guest trapped: `code` in kebab-case, `frames` with the innermost first."""

    code: str
    message: str
    frames: tuple[str, ...]

    def write(self, writer: ByteWriter) -> None:
        """Append the payload; the guest chose the frames' names, so they are cut."""
        _write_text(writer, self.code)
        _write_text(writer, self.message)
        frames = self.frames[:MAX_FRAMES]
        writer.write_u8(len(frames))
        for frame in frames:
            _write_text(writer, frame[:MAX_FRAME_CHARACTERS])

    @classmethod
    def read(cls, reader: ByteReader) -> Trap:
        """Read the payload."""
        code, message = _read_text(reader), _read_text(reader)
        count = reader.read_u8()
        if count > MAX_FRAMES:
            raise reader.fail("too many frames", found=count, allowed=MAX_FRAMES)
        return cls(code, message, tuple(_read_text(reader) for _ in range(count)))


@dataclass(frozen=True, slots=True)
class Failure:
    """The call could not be made; `kind` is one of `FAILURES`."""

    kind: str
    message: str

    def write(self, writer: ByteWriter) -> None:
        """Append the payload."""
        writer.write_u8(FAILURES.index(self.kind))
        _write_text(writer, self.message)

    @classmethod
    def read(cls, reader: ByteReader) -> Failure:
        """Read the payload."""
        index = reader.read_u8()
        if index >= len(FAILURES):
            raise reader.fail("unknown kind of failure", found=index)
        return cls(FAILURES[index], _read_text(reader))


Request = Call | Open | Save | Close | Provide | Listen | Admit | Dismiss | Report
Message = Ready | Identity | Request | Result | Trap | Failure

KINDS: tuple[type[Message], ...] = (
    Ready, Call, Result, Trap, Failure, Open, Close, Save, Identity, Listen, Admit, Dismiss, Report, Provide
)  # fmt: skip
"""The first has the number 1."""
CODES = {kind: code for code, kind in enumerate(KINDS, 1)}


def write_message(message: Message) -> bytes:
    """Return the frame of a message."""
    writer = ByteWriter()
    message.write(writer)
    return HEADER.pack(len(writer), CODES[type(message)]) + bytes(writer.data)


def read_header(header: bytes, state_bytes: int = 0) -> tuple[int, int]:
    """Return payload length and kind. Raises `FormatError` beyond the limit and for unknown kinds.

    `state_bytes` is how long a state may be, where one is expected.
    """
    length, kind = HEADER.unpack(header)
    if length > MAX_PAYLOAD_BYTES + state_bytes:
        raise FormatError("frame too long", found=length, allowed=MAX_PAYLOAD_BYTES + state_bytes)
    if not 1 <= kind <= len(KINDS):
        raise FormatError("unknown kind of frame", found=kind)
    return length, kind


def read_message(kind: int, payload: bytes) -> Message:
    """Return the message in a payload, all of which it must fill. Raises `FormatError`."""
    reader = ByteReader(payload, structure="frame")
    message = KINDS[kind - 1].read(reader)
    if reader.remaining:
        raise reader.fail("bytes behind the end", found=reader.remaining)
    return message


def _write_text(writer: ByteWriter, text: str) -> None:
    """Write at most `MAX_TEXT_BYTES`; guests choose some of these texts."""
    data = text.encode(errors="replace")[:MAX_TEXT_BYTES]
    writer.write_u32(len(data))
    writer.write_bytes(data)


def _read_text(reader: ByteReader) -> str:
    length = reader.read_u32()
    if length > MAX_TEXT_BYTES:
        raise reader.fail("text too long", found=length, allowed=MAX_TEXT_BYTES)
    return reader.read_bytes(length).decode(errors="replace")


def _write_double(writer: ByteWriter, value: float) -> None:
    writer.write_bytes(DOUBLE.pack(value))


def _read_seconds(reader: ByteReader) -> float:
    value: float = DOUBLE.unpack(reader.read_bytes(DOUBLE.size))[0]
    if not 0 <= value < 1e9:
        raise reader.fail("not a duration", found=value)
    return value
