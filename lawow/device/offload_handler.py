"""The Offload Handler of a device: requests an offload, selects an offer, brings the module, recalls it.

It keeps the list of what is offloaded: module, lease, host (`offloaded`). A handler talks to one edge; an
offer of another edge is followed only if a client for its URL was given (`elsewhere`), because the token
goes there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lawow.channel.documents import Value
from lawow.device.control_client import ControlClient, Document
from lawow.device.edge_client import CallOutcome, EdgeClient, printable
from lawow.device.notifier import Metric, Notifier
from lawow.errors import Refused, RemoteProtocolError, UsageError

__all__ = ["Offer", "Offers", "OffloadHandler", "Offloaded"]

TELLING_BYTES = 256 << 10
"""Of a transfer, at least, for its time to be the bandwidth's and not that of requests, checks and disks."""
ENDED = ("recalled", "expired", "revoked")


@dataclass(frozen=True, slots=True)
class Offer:
    """A host that takes the module. `facts` are its capabilities and figures, as in docs/edge.md."""

    id: str
    host: str
    url: str
    expires_unix: float
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Offers:
    """What came of a request: offers, what the provider selected, and why other hosts offer nothing."""

    asked: Mapping[str, object]
    wasm: bytes
    offers: tuple[Offer, ...]
    unmet: tuple[str, ...]
    selected: Offloaded | None


@dataclass(slots=True)
class Offloaded:
    """An offloaded module. `digest` is its SHA-256 in hex, `token` opens its part of the data plane."""

    digest: str
    lease: str
    host: str
    state: str
    token: str
    endpoint: Mapping[str, object] | None
    transferred_bytes: int
    control: ControlClient

    def call(
        self,
        export: str,
        signature: str,
        arguments: Sequence[Value],
        *,
        deadline_seconds: float | None = None,
        key: str | None = None,
    ) -> CallOutcome:
        """Call an export of the instance, as `EdgeClient.call_under`."""
        path = f"/v1/leases/{self.lease}"
        return self.control.edge.call_under(
            path, export, signature, arguments, deadline_seconds=deadline_seconds, key=key
        )

    def follow(self, document: Document) -> None:
        """Take over what the edge says of the lease."""
        self.state = _text(document, "state")
        endpoint = document.get("endpoint")
        self.endpoint = endpoint if isinstance(endpoint, dict) else None


class OffloadHandler:
    """One device's offloaded modules on one edge. For one thread at a time.

    `notifier` is told of the round trip to the edge, and of the throughput of transfers that are long enough
    to tell it.
    """

    def __init__(
        self,
        edge: EdgeClient,
        elsewhere: Mapping[str, EdgeClient] | None = None,
        *,
        notifier: Notifier | None = None,
    ) -> None:
        self._control = ControlClient(edge)
        self._notifier = notifier
        self._elsewhere = elsewhere or {}
        self.offloaded: list[Offloaded] = []

    def request(
        self,
        wasm: bytes = b"",
        *,
        shared: str = "",
        choice: str = "application",
        requirements: Mapping[str, object] | None = None,
    ) -> Offers:
        """Announce a module, or a shared one by name, and return the edge's offers.

        The round trip to the edge is measured first, so that a required latency can be judged. Raises as
        `EdgeClient.call`; `UsageError` unless exactly one of both is given.
        """
        if bool(wasm) == bool(shared):
            raise UsageError("give a module or the name of a shared one")
        what = {"shared": shared} if shared else {"module": f"sha256:{hashlib.sha256(wasm).hexdigest()}"}
        asked = {**what, "choice": choice, "requirements": dict(requirements or {})}
        return self._request(self._control, asked, wasm)

    def select(self, offers: Offers, offer: Offer) -> Offloaded:
        """Accept an offer, bring the module if the host lacks it, initialise it, add it to `offloaded`."""
        if offer.url:
            client = self._elsewhere.get(offer.url)
            if client is None:
                raise Refused(f"{offer.host} has an edge of its own at {offer.url}; give a client for it")
            there = self._request(ControlClient(client), {**offers.asked, "choice": "provider"}, offers.wasm)
            if there.selected is None:
                raise Refused(f"{offer.host} offers it no more: {'; '.join(there.unmet)}")
            return there.selected
        return self._begin(self._control, self._control.select(offer.id), offers.wasm)

    def reactivate(self, item: Offloaded) -> None:
        """Initialise a dormant module again; only what its host lacks was ever to be transferred."""
        item.follow(item.control.initialise(item.lease))

    def synchronise(self, item: Offloaded, state: bytes | None = None) -> bytes | None:
        """Return the state of the instance, or replace it with `state`."""
        if state is None:
            return item.control.state(item.lease)
        item.control.replace_state(item.lease, state)
        return None

    def recall(self, item: Offloaded, *, with_state: bool = True) -> bytes | None:
        """Bring the state home and end the lease; the lease ends only once the state is here."""
        state = item.control.state(item.lease) if with_state else None
        item.follow(item.control.end(item.lease))
        self.offloaded.remove(item)
        return state

    def refresh(self) -> None:
        """Ask for the state of all leases; those that have ended leave the list."""
        for item in list(self.offloaded):
            item.follow(item.control.lease(item.lease))
            if item.state in ENDED:
                self.offloaded.remove(item)

    def _request(self, control: ControlClient, asked: Mapping[str, object], wasm: bytes) -> Offers:
        control.edge.health()  # connects, so that the next one is a round trip alone
        started = time.perf_counter()
        control.edge.health()
        round_trip = time.perf_counter() - started
        self._report(Metric.ROUND_TRIP, round_trip, control)
        answer = control.request({**asked, "round_trip_seconds": round_trip})
        lease = answer.get("lease")
        selected = self._begin(control, lease, wasm) if isinstance(lease, dict) else None
        offers = tuple(_offer(item) for item in _items(answer, "offers"))
        return Offers(asked, wasm, offers, tuple(_unmet(item) for item in _items(answer, "unmet")), selected)

    def _report(self, metric: Metric, value: float, control: ControlClient) -> None:
        if self._notifier is not None:
            self._notifier.report(metric, value, source=f"HTTP to {control.edge.address}")

    def _begin(self, control: ControlClient, lease: Document, wasm: bytes) -> Offloaded:
        name = _text(lease, "lease")
        item = Offloaded(
            _text(lease, "module").removeprefix("sha256:"),
            name,
            _text(lease, "host"),
            _text(lease, "state"),
            _text(lease, "token"),
            None,
            0,
            control,
        )
        self.offloaded.append(item)  # first of all: what fails below can be tried again, or ended
        if wasm:
            started = time.perf_counter()
            item.transferred_bytes = control.transfer(name, wasm)
            seconds = time.perf_counter() - started
            if item.transferred_bytes >= TELLING_BYTES:
                self._report(Metric.THROUGHPUT, item.transferred_bytes / seconds, control)
        item.follow(control.initialise(name))
        return item


def _offer(document: Document) -> Offer:
    host = document.get("host")
    if not isinstance(host, dict):
        raise RemoteProtocolError("the edge's answer has an offer without a host")
    expires = document.get("expires_unix")
    url = host.get("url")
    if not isinstance(expires, int | float) or not isinstance(url, str | None):
        raise RemoteProtocolError("the edge's answer has an offer that is none")
    return Offer(_text(document, "offer"), _text(host, "name"), url or "", float(expires), host)


def _unmet(document: Document) -> str:
    reasons = document.get("reasons")
    if not isinstance(reasons, list):
        raise RemoteProtocolError("the edge's answer has a host without reasons")
    return printable(f"{_text(document, 'host')}: {', '.join(map(str, reasons))}")


def _items(document: Document, key: str) -> list[Document]:
    items = document.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RemoteProtocolError(f"the edge's answer has no list {key!r}")
    return items


def _text(document: Document, key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value.isprintable() or len(value) > 1000:
        raise RemoteProtocolError(f"the edge's answer has no text {key!r}")
    return value
