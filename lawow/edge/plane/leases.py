"""Who may call what in this worker: the leases that the edge has admitted, the functions bound by them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256

from lawow.channel.values import SLOT_BYTES, require_slots
from lawow.edge.call_windows import latency_slot
from lawow.edge.messages import Admit
from lawow.edge.usage import Usage
from lawow.formats.signature import parse_typed_signature

__all__ = ["QUICK_CALLS", "Function", "LeaseTable", "OwnLease"]

QUICK_SECONDS = 50e-6
QUICK_CALLS = 16
"""So many calls as quick as that, and the next ones are answered in bursts."""
SLOW_CALL = 4
"""A call that is not takes so many quick ones back: the processor may have been another's meanwhile."""
FIRST_BURST = 32


@dataclass(slots=True)
class OwnLease:
    """A lease as the worker knows it."""

    admitted: Admit
    calls: int = 0
    is_alive: bool = True
    outcomes: Counter[str] = field(default_factory=Counter)
    slots: Counter[int] = field(default_factory=Counter)

    def note(self, outcome: str, seconds: float, count: int = 1) -> None:
        """Count calls that have ended so, so long after they had come."""
        self.outcomes[outcome] += count
        self.slots[latency_slot(seconds)] += count

    def take_usage(self) -> Usage:
        """Return what was counted since this was last asked."""
        found = Usage(self.admitted.lease, self.calls, self.is_alive, self.outcomes, self.slots)
        self.calls, self.outcomes, self.slots = 0, Counter(), Counter()
        return found

    def target(self, text: str) -> str | None:
        """Return the session that a BIND's target stands for ("" for fresh instances), None for neither."""
        if text == f"session:{self.admitted.lease}":
            return self.admitted.session
        return "" if self.admitted.has_module and text == f"sha256:{self.admitted.digest}" else None


@dataclass(slots=True)
class Function:
    """What a client has bound. `runs_in_session`: in its lease's instance, whichever that is at the time."""

    lease: OwnLease
    runs_in_session: bool
    export: str
    signature: str
    core_params: str | None = field(init=False)
    result_bytes: int = field(init=False, default=0)  # of core results
    quick_calls: int = field(init=False, default=0)  # less those that a slow one took back
    most: int = field(init=False, default=FIRST_BURST)  # calls that are answered in one go
    _core_bytes: int = field(init=False, default=0)
    _zeros: int = field(init=False, default=0)  # the bits of core arguments that are none of a number's

    def __post_init__(self) -> None:
        if not parse_typed_signature(self.signature).is_core:
            self.core_params = None
            return
        letters, _, results = self.signature.partition(">")
        self.core_params, self.result_bytes = letters, len(results) * SLOT_BYTES
        self._core_bytes = len(letters) * SLOT_BYTES
        unused = (bytes(4) + b"\xff" * 4 if letter in "if" else bytes(8) for letter in letters)
        self._zeros = int.from_bytes(b"".join(unused), "little")

    def learn(self, run_seconds: float) -> None:
        """Take note of how long a call ran."""
        quick = self.quick_calls + (1 if run_seconds < QUICK_SECONDS else -SLOW_CALL)
        self.quick_calls = max(quick, 0)

    def require_fit(self, arguments: bytes | memoryview) -> None:
        """Raise `FormatError` for numbers that are no arguments of it; a guest's own lists come later."""
        if self.core_params is None:
            return
        if len(arguments) != self._core_bytes or int.from_bytes(arguments, "little") & self._zeros:
            require_slots(self.core_params, bytes(arguments))


class LeaseTable:
    """The leases of one worker, by id and by token."""

    def __init__(self) -> None:
        self._by_id: dict[str, OwnLease] = {}
        self._by_token: dict[str, OwnLease] = {}

    def admit(self, request: Admit) -> None:
        """Take a lease in, or put another instance in its place."""
        own = self._by_id.get(request.lease)
        if own is None:
            own = self._by_id[request.lease] = OwnLease(request)
        self._by_token.pop(own.admitted.token_sha256, None)
        own.admitted, own.is_alive = request, True
        self._by_token[request.token_sha256] = own

    def dismiss(self, lease: str) -> OwnLease | None:
        """Forget a lease and return it, if it was there."""
        own = self._by_id.pop(lease, None)
        if own is not None:
            del self._by_token[own.admitted.token_sha256]
        return own

    def of_token(self, token: bytes) -> OwnLease | None:
        """Return whose token this is. What is compared is a hash of a secret of 256 bits."""
        return self._by_token.get(sha256(token).hexdigest())

    def lose(self, session: str) -> None:
        """Take note that an instance is gone."""
        for own in self._by_id.values():
            own.is_alive = own.is_alive and own.admitted.session != session

    def take_usage(self) -> list[Usage]:
        """Return how often each lease was used since this was last asked."""
        return [own.take_usage() for own in self._by_id.values()]
