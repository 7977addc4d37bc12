"""What outlives a connection: calls without an outcome, outcomes that may be asked for again, channels.

A session belongs to one client and one server and is used by one connection at a time. Each end has its own
object. Nothing in here knows bytes or frames.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import repeat

from lawow.channel.inbox import Payload
from lawow.channel.payloads import CallKnown
from lawow.channel.sequences import ChannelEnd
from lawow.channel.states import CallState
from lawow.limits import CHANNEL, ChannelLimits

__all__ = ["Call", "ClientSession", "KeptOutcomes", "ServerSession", "Session"]


class Call:
    """A call or a binding without an outcome, at one end.

    `size` counts the arguments. `parts` is what has come so far of a payload in parts, of `expected` bytes.
    Most calls come whole: what only others need are values of the class until then.
    """

    is_binding = False
    fields: tuple[int, int] = (0, 0)
    expected = 0
    filled = 0
    parts: bytearray | memoryview | None = None

    def __init__(self, state: CallState, size: int) -> None:
        self.state = state
        self.size = size

    def expect(self, size: int, fields: tuple[int, int], memory: memoryview | None = None) -> None:
        """Begin to collect a payload of `size` bytes, in `memory` if there is some."""
        self.expected, self.fields, self.filled = size, fields, 0
        self.parts = bytearray() if memory is None else memory

    def add(self, piece: Payload, *, is_in_place: bool = False) -> None:
        """Append a piece; the caller has checked that it fits."""
        if isinstance(self.parts, bytearray):
            self.parts += piece
        elif self.parts is not None and not is_in_place:
            self.parts[self.filled : self.filled + len(piece)] = piece
        self.filled += len(piece)


class KeptOutcomes:
    """Frames of outcomes by id, the oldest first, until they are acknowledged, too many or too old."""

    __slots__ = ("_bytes", "_limits", "_outcomes")

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        # Not a dict, which takes longer to find its first item the more went before it.
        self._outcomes: OrderedDict[int, tuple[int, bytes, float]] = OrderedDict()
        self._bytes = 0

    def __contains__(self, call_id: int) -> bool:
        return call_id in self._outcomes

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def kept_bytes(self) -> int:
        """Payload bytes of all outcomes together."""
        return self._bytes

    def keep(self, call_id: int, operation: int, payload: bytes, now: float) -> None:
        """Keep an outcome, and let go of the oldest ones that have no room beside it."""
        limits, outcomes = self._limits, self._outcomes
        if len(payload) > limits.kept_bytes:
            return
        outcomes[call_id] = (operation, payload, now)
        self._bytes += len(payload)
        if self._bytes > limits.kept_bytes or len(outcomes) > limits.kept_results:
            self._let_go()

    def keep_all(
        self, operation: int, outcomes: Iterable[tuple[int, bytes]], count: int, size: int, now: float
    ) -> None:
        """Keep `count` outcomes of `size` bytes together, as `keep` does with each."""
        limits = self._limits
        if size > limits.kept_bytes:
            for call_id, payload in outcomes:
                self.keep(call_id, operation, payload, now)
            return
        ids, payloads = zip(*outcomes, strict=True)
        self._outcomes.update(zip(ids, zip(repeat(operation), payloads, repeat(now)), strict=False))
        self._bytes += size
        self._let_go()

    def get(self, call_id: int) -> tuple[int, bytes]:
        """Return operation and payload."""
        return self._outcomes[call_id][:2]

    def _let_go(self) -> None:
        """Let go of the oldest ones that have no room."""
        limits, outcomes = self._limits, self._outcomes
        for _ in range(len(outcomes) - limits.kept_results):
            self._bytes -= len(outcomes.popitem(False)[1][1])
        while self._bytes > limits.kept_bytes:
            self._bytes -= len(outcomes.popitem(False)[1][1])

    def drop(self, call_id: int) -> None:
        """Let go of an outcome, if it is there."""
        found = self._outcomes.pop(call_id, None)
        if found is not None:
            self._bytes -= len(found[1])

    def drop_others(self, wanted: set[int]) -> None:
        """Let go of all that are not `wanted`."""
        for call_id in [item for item in self._outcomes if item not in wanted]:
            self.drop(call_id)

    def expire(self, now: float) -> None:
        """Let go of what is older than the limit."""
        while self._outcomes:
            call_id, (_, _, since) = next(iter(self._outcomes.items()))
            if now - since <= self._limits.kept_seconds:
                return
            self.drop(call_id)


class Session:
    """What both ends keep."""

    def __init__(self, token: bytes) -> None:
        self.token = token
        self.calls: dict[int, Call] = {}
        self.channels: dict[int, ChannelEnd] = {}
        self.bindings = 0
        self.call_bytes = 0

    def end_call(self, call_id: int) -> Call:
        """Remove a call that has its outcome."""
        call = self.calls.pop(call_id)
        self.call_bytes -= call.size
        return call


class ClientSession(Session):
    """The client's side; `token` is empty until a server has named the session."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.last_id = 0

    def connection_lost(self) -> list[int]:
        """Forget what was on its way; return the calls that were not sent whole, which never started."""
        partial = [call_id for call_id, call in self.calls.items() if call.state is CallState.SENDING]
        partial += [call_id for call_id, call in self.calls.items() if call.state is CallState.STOPPING]
        for call in self.calls.values():
            call.parts = None
            if call.state is CallState.ANSWERING:
                call.state = CallState.RUNNING
        for channel in self.channels.values():
            channel.assembly = None
        return partial


class ServerSession(Session):
    """The server's side. Its owner keeps it by `token` for `ChannelLimits.resume_seconds`.

    `token` is secret and unguessable: who has it, and a lease of the same tenant, goes on with the session.
    """

    def __init__(self, token: bytes, limits: ChannelLimits = CHANNEL) -> None:
        super().__init__(token)
        self.last_id = 0
        self.kept = KeptOutcomes(limits)
        self.deliver: Callable[[int, int, bytes], None] | None = None  # of the connection that has it
        self._unfinished: set[int] = set()

    def connection_lost(self) -> list[int]:
        """Forget what was on its way; return the calls whose arguments were incomplete, which never start."""
        unfinished = [
            key
            for key, call in self.calls.items()
            if call.parts is not None or call.state is CallState.STOPPING
        ]
        ended = [key for key, call in self.calls.items() if call.state is CallState.ANSWERING]
        for call_id in [*unfinished, *ended]:
            self.end_call(call_id)
        for channel in self.channels.values():
            channel.assembly = None
        self._unfinished.update(unfinished)
        return unfinished

    def answer(self, asked: tuple[int, ...]) -> bytes:
        """Tell what became of each call that the client has no outcome of, a byte of `CallKnown` for each."""
        known = bytes(self._known(call_id) for call_id in asked)
        self._unfinished.clear()
        return known

    def _known(self, call_id: int) -> CallKnown:
        if call_id in self.calls:
            return CallKnown.RUNNING
        if call_id in self.kept:
            return CallKnown.KEPT
        if call_id > self.last_id or call_id in self._unfinished:
            return CallKnown.NEVER_SEEN
        return CallKnown.FORGOTTEN
