"""Bytes in, frames out, in time that is linear in the bytes however they are cut.

A frame is refused by its head, before anything of its size is kept. Small payloads are copies, large ones
views of what was received. Of a large CALL or CONTINUE the owner may name the memory that the payload belongs
into (`Place`): the rest of the frame is then copied there and nowhere else, or received there without a copy
(`buffer` and `received`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lawow.channel.frames import BULK, COUNTED_BYTES, HEAD, HEAD_BYTES, Op
from lawow.errors import RemoteProtocolError

__all__ = ["PLACED", "PLACE_HEAD_BYTES", "Frame", "Inbox", "Payload", "Place"]

Payload = bytes | bytearray | memoryview
Frame = tuple[int, int, int, Payload]
"""Id, operation, flags, payload."""
Place = Callable[[int, int, int, bytes, int], tuple[int, memoryview | None]]
"""Takes id, operation, flags, the first `PLACE_HEAD_BYTES` of the payload and the payload's size. Returns how
many bytes of the payload the frame's own fields take, and memory for the rest, or None for the inbox's."""
PLACED = -1
"""The operation of a frame that `Place` was asked about; its payload lacks what the frame's fields took."""
PLACE_HEAD_BYTES = 12
PLACE_BYTES = 32 << 10  # a smaller payload is copied in less time than it takes to ask
PLACEABLE = frozenset({Op.CALL, Op.CONTINUE})
VIEW_BYTES = 4 << 10  # a smaller payload is copied in less time than it takes to make a view


class _Arriving:
    """The payload of a frame whose memory is known, up to the last byte that has come."""

    __slots__ = ("flags", "frame_id", "missing", "payload", "rest")

    def __init__(self, frame_id: int, flags: int, size: int, target: memoryview | None) -> None:
        self.frame_id = frame_id
        self.flags = flags
        self.missing = size
        self.payload: bytearray | memoryview = bytearray() if target is None else target
        self.rest = target

    def fill(self, data: bytes | memoryview) -> int:
        """Take what is missing from the start of `data`; return how many bytes that was."""
        count = min(self.missing, len(data))
        if self.rest is None:
            self.payload += memoryview(data)[:count]  # type: ignore[operator]  # it is a bytearray
        else:
            self.rest[:count] = data[:count]
        self.advance(count)
        return count

    def divert(self) -> None:
        """Let go of the memory, and keep as many bytes in our own."""
        self.payload = bytearray(len(self.payload) - self.missing)
        self.rest = None

    def advance(self, count: int) -> None:
        """Take note of bytes that are in place."""
        self.missing -= count
        if self.rest is not None:
            self.rest = self.rest[count:]


class Inbox:
    """What has been received and not been handled yet: at most one frame."""

    __slots__ = ("_arriving", "_control_bytes", "_kept", "_needed", "_place", "begun", "frame_bytes")

    def __init__(self, frame_bytes: int, control_bytes: int, place: Place | None = None) -> None:
        self.frame_bytes = frame_bytes
        self._control_bytes = control_bytes
        self._place = place
        self._kept = bytearray()
        self._needed = HEAD_BYTES
        self._arriving: _Arriving | None = None
        self.begun = 0  # changes whenever another frame has come in part

    @property
    def is_empty(self) -> bool:
        """Whether the last byte received was the last of a frame."""
        return not self._kept and self._arriving is None

    def buffer(self) -> memoryview | None:
        """Return the memory that the next bytes belong into, or None if they belong to `frames`."""
        return None if self._arriving is None else self._arriving.rest

    def received(self, count: int) -> Iterator[Frame]:
        """Yield the frame that `count` bytes, written to the start of `buffer`, complete."""
        if self._arriving is not None:
            self._arriving.advance(count)
            yield from self._arrived()

    def frames(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Yield every frame that `data` completes. Raises `RemoteProtocolError`."""
        if self._arriving is not None:
            taken = self._arriving.fill(data)
            yield from self._arrived()
            data = memoryview(data)[taken:]
        is_new = not self._kept
        if not is_new:
            self._kept += data
            if len(self._kept) < self._needed:
                return
            data, self._kept = bytes(self._kept), bytearray()
        yield from self._whole(data, is_new)

    def _arrived(self) -> Iterator[Frame]:
        done = self._arriving
        if done is not None and not done.missing:
            self._arriving = None
            yield done.frame_id, PLACED, done.flags, done.payload

    def _whole(self, data: bytes | memoryview, is_new: bool) -> Iterator[Frame]:
        """Yield whole frames and keep the rest; `is_new`: no byte of the first was here before."""
        at, end = 0, len(data)
        while end - at >= HEAD_BYTES:
            length, frame_id, operation, flags = HEAD.unpack_from(data, at)
            start = at + HEAD_BYTES
            stop = start + length - COUNTED_BYTES
            if not COUNTED_BYTES <= length <= self._control_bytes:
                self._require_size(stop - start, operation)
            if stop > end:
                self.begun += is_new or at > 0
                yield from self._begin(data[at:], frame_id, operation, flags, stop - start)
                return
            yield frame_id, operation, flags, _piece(data, start, stop)
            at = stop
        self.begun += is_new or at > 0
        self._keep(data[at:], HEAD_BYTES)

    def _require_size(self, size: int, operation: int) -> None:
        """Refuse a frame by its head."""
        largest = self.frame_bytes if operation in BULK else min(self.frame_bytes, self._control_bytes)
        if not 0 <= size <= largest:
            raise RemoteProtocolError(
                f"a frame of operation {operation:#x} with a payload of {size} bytes (allowed 0 to {largest})"
            )

    def _begin(
        self, data: bytes | memoryview, frame_id: int, operation: int, flags: int, size: int
    ) -> Iterator[Frame]:
        """Keep the start of a frame, or put it where the rest will be received."""
        if self._place is None or size <= PLACE_BYTES or operation not in PLACEABLE:
            self._keep(data, HEAD_BYTES + size)
        elif len(data) < HEAD_BYTES + PLACE_HEAD_BYTES:
            self._keep(data, HEAD_BYTES + PLACE_HEAD_BYTES)
        else:
            start = bytes(data[HEAD_BYTES : HEAD_BYTES + PLACE_HEAD_BYTES])
            fields, target = self._place(frame_id, operation, flags, start, size)
            self._arriving = _Arriving(frame_id, flags, size - fields, target)
            self._arriving.fill(data[HEAD_BYTES + fields :])
            yield from self._arrived()

    def divert(self, frame_id: int) -> None:
        """Write nothing more to memory that was named for the frame that is arriving, if it has this id."""
        arriving = self._arriving
        if arriving is not None and arriving.frame_id == frame_id and arriving.rest is not None:
            arriving.divert()

    def _keep(self, data: bytes | memoryview, needed: int) -> None:
        self._kept += data
        self._needed = needed


def _piece(data: bytes | memoryview, start: int, stop: int) -> Payload:
    if stop - start >= VIEW_BYTES:
        return memoryview(data)[start:stop]
    return bytes(data[start:stop])
