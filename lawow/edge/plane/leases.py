"""Who may call what in this worker: the leases that the edge has admitted, the functions bound by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from lawow.channel.inbox import Payload
from lawow.channel.values import require_slots
from lawow.edge.messages import Admit, Usage
from lawow.formats.signature import parse_typed_signature

__all__ = ["Function", "LeaseTable", "OwnLease"]

QUICK_SECONDS = 0.001
"""What takes longer runs beside the thread that serves the sockets; handing it over costs 50 us."""
FORGET = 0.7
"""How much of an earlier, longer time a new one leaves."""


@dataclass(slots=True)
class OwnLease:
    """A lease as the worker knows it."""

    admitted: Admit
    calls: int = 0
    is_alive: bool = True

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
    _seconds: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        is_core = parse_typed_signature(self.signature).is_core
        self.core_params = self.signature.partition(">")[0] if is_core else None

    def require_fit(self, arguments: Payload) -> None:
        """Raise `FormatError` for numbers that are no arguments of it; a guest's own lists come later."""
        if self.core_params is not None:
            require_slots(self.core_params, bytes(arguments))

    @property
    def is_quick(self) -> bool:
        """Whether it took so little lately that handing it to another thread would cost more."""
        return self._seconds is not None and self._seconds < QUICK_SECONDS

    def note(self, seconds: float) -> None:
        """Take note of how long it took. Slow is believed at once, quick by and by."""
        self._seconds = seconds if self._seconds is None else max(seconds, self._seconds * FORGET)


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
        found = [Usage(name, own.calls, own.is_alive) for name, own in self._by_id.items()]
        for own in self._by_id.values():
            own.calls = 0
        return found
