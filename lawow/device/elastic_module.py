"""A module that is at home or on an edge, and moves between them with its state.

`offload` walks the offload sequence, `synchronise` makes both places hold the same state, `recall` brings it
home, `migrate` moves it to another edge. At most one place has a state that the other lacks (`newest`), and a
module that keeps state runs only where the newest is. So no call ever works on a state that others have left
behind, whatever fails: either it continues where it was, or `HostLost` says what to do. For several threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lawow.channel.documents import Value, arguments_of_values, values_of_returned
from lawow.device.cancel import Cancel
from lawow.device.comeback import Comeback
from lawow.device.data_session import DataSession
from lawow.device.edge_client import EdgeProblem
from lawow.device.offload_handler import Offer, Offers, Offloaded, OffloadHandler
from lawow.device.policy import Place
from lawow.device.tracing import size_and_bytes
from lawow.errors import HostLost, LawowError, LocalProtocolError, OutcomeUnknown, Refused, UsageError
from lawow.execution.local import LocalModule
from lawow.formats.bundle import bundled_module
from lawow.formats.signature import parse_typed_signature
from lawow.limits import CALL, EDGE

__all__ = ["Answer", "ElasticModule", "Travelled", "first_offer", "patience"]

PATIENCE_GREETINGS = 10
LEAST_PATIENCE_SECONDS = 1.0
INSTANCE_GONE = ("conflict", "session-lost")
"""What an edge says of a lease that has no instance at the moment."""
Travelled = Callable[[str, int, float], None]
"""Told of an exchange with an edge: its name, bytes in both directions, seconds on the way."""
Answer = tuple[tuple[Value, ...], Mapping[int, Sequence[int | float]]]
"""Results, and the lists that the call changed, by the parameter's index."""


@dataclass(frozen=True, slots=True)
class _Away:
    """The module on an edge: who offloaded it, its lease, and its data plane if there is one.

    `comeback` looks for another session of the data plane when that one is over.
    """

    handler: OffloadHandler
    item: Offloaded
    data: DataSession | None
    comeback: Comeback[DataSession | None] | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    """A call for the edge, as `ElasticModule.call_there` takes it."""

    export: str
    signature: str
    values: Sequence[Value]
    seconds: float | None
    cancel: Cancel | None
    on_travel: Travelled | None
    may_repeat: bool


def first_offer(offers: Offers) -> Offer:
    """Return the first offer. Raises `Refused` with what is not met if there is none."""
    if not offers.offers:
        raise Refused(f"the edge offers nothing: {'; '.join(offers.unmet) or 'no reason given'}")
    return offers.offers[0]


class ElasticModule:
    """One module. `keeps_state`: all calls are of one instance; else each call may have a fresh one.

    `signatures` holds the core signature of each export. Raises `FormatError` for what is no module,
    `Refused` for state that cannot be captured.
    """

    def __init__(self, wasm: bytes, *, keeps_state: bool = False) -> None:
        module = bundled_module("module.wasm", wasm)
        self.wasm = wasm
        self.digest = hashlib.sha256(wasm).hexdigest()
        self.keeps_state = keeps_state
        self.is_pure = module.pure and not keeps_state
        self.signatures = {export.name: export.signature for export in module.exports}
        self.newest: Place | None = None
        self._local = LocalModule(wasm, keeps_state=keeps_state)
        self._away: _Away | None = None
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._under_way = 0

    @property
    def edge_name(self) -> str | None:
        """The host and the edge where the module is, None at home: what a breaker knows edges by."""
        item = self.offloaded
        return None if item is None else _edge_name(item)

    @property
    def offloaded(self) -> Offloaded | None:
        """The lease of the module, if it is offloaded."""
        away = self._away
        return None if away is None else away.item

    # the offload sequence

    def offload(
        self,
        handler: OffloadHandler,
        *,
        requirements: Mapping[str, object] | None = None,
        choose: Callable[[Offers], Offer] = first_offer,
    ) -> Offloaded:
        """Request, select one of the offers with `choose`, transfer, initialise, and bring the state there.

        Raises as `OffloadHandler`; the module is at home then, and no lease is left behind that can be ended.
        """
        with self._lock:
            if self._away is not None:
                raise LocalProtocolError(f"the module is on {self._away.item.host}; migrate or recall it")
            self._away = self._begin(handler, requirements, choose)
            self.newest = None
            return self._away.item

    def synchronise(self) -> None:
        """Let both places hold the newest state: bring it to the edge if it is here, else fetch it.

        It is fetched also if this device changed nothing: others may share the instance.
        """
        with self._lock:
            away = self._require_away()
            if self.newest is Place.LOCAL:
                away.handler.synchronise(away.item, self._local.state())
            else:
                self._fetch_state(away)
            self.newest = None

    def recall(self) -> None:
        """Bring the state home and end the lease; the lease ends only once the state is here."""
        with self._lock:
            away = self._require_away()
            if self.newest is not Place.LOCAL:
                self._fetch_state(away)
            self.newest = None
            self._away = None
            self._end(away)

    def migrate(
        self,
        handler: OffloadHandler,
        *,
        requirements: Mapping[str, object] | None = None,
        choose: Callable[[Offers], Offer] = first_offer,
    ) -> Offloaded:
        """Move to another edge, or another host of the same; all stays as it was if that fails."""
        with self._lock:
            former = self._require_away()
            self.synchronise()
            self._away = self._begin(handler, requirements, choose)
            with contextlib.suppress(HostLost):  # nothing of the module is there any more; the lease runs out
                self._end(former)
            return self._away.item

    def give_up(self) -> None:
        """Go on at home from the state that was synchronised last, whatever the edge has done since."""
        with self._lock:
            away, self._away, self.newest = self._away, None, None
        if away is not None and away.data is not None:
            away.data.close()

    # calls

    def allows(self, place: Place) -> bool:
        """Tell whether a call may run there: for a module that keeps state, where the newest one is."""
        if place is Place.REMOTE and self._away is None:
            return False
        return not self.keeps_state or self.newest in (None, place)

    def call_here(
        self,
        export: str,
        signature: str,
        values: Sequence[Value],
        deadline_seconds: float | None,
        cancel: Cancel | None = None,
    ) -> Answer:
        """Call an export in this process. `cancel` stops it as if its deadline had passed."""
        parsed = parse_typed_signature(signature)
        arguments = arguments_of_values(parsed, values)
        seconds = CALL.deadline_seconds if deadline_seconds is None else deadline_seconds
        with self._lock:
            if cancel is not None and cancel.is_set:
                raise OutcomeUnknown(f"{export}: cancelled before it was begun here")
            self._note(Place.LOCAL)
            returned = self._local.call(
                export,
                parsed,
                arguments,
                deadline_seconds=seconds,
                on_start=None if cancel is None else cancel.on_set,
            )
        return values_of_returned(parsed, returned)

    def call_there(
        self,
        export: str,
        signature: str,
        values: Sequence[Value],
        deadline_seconds: float | None,
        cancel: Cancel | None = None,
        on_travel: Travelled | None = None,
        may_repeat: bool = False,
    ) -> Answer:
        """Call an export on the edge, by the data plane if its lease has one, else by HTTP.

        While its connection is lost, a call waits little (`patience`) before it is `HostLost`, or, if it was
        sent and `may_repeat`, `OutcomeUnknown`. With state it waits longer: it can run nowhere else.

        `cancel` stops it on the data plane; over HTTP it runs to its end. `on_travel` is told of the exchange
        if no other call was under way when it began. Raises as `EdgeClient.call`.
        """
        cancel = None if self.keeps_state else cancel  # what it has done by then could not be told
        request = _Request(export, signature, values, deadline_seconds, cancel, on_travel, may_repeat)
        away = self._away
        if away is None:
            raise HostLost("the module has come home meanwhile; the call was not sent")
        if not self.keeps_state:
            return self._remote(away, request)
        with self._lock:
            away = self._require_away()
            self._note(Place.REMOTE)
            return self._remote(away, request)

    def close(self) -> None:
        """Free the local instance; a lease stays until `recall` or its time is over."""
        with self._lock:
            if self._away is not None and self._away.data is not None:
                self._away.data.close()
            self._local.close()

    # inside

    def _note(self, place: Place) -> None:
        """The state will be newest there; what the call then does to it nobody can tell."""
        if self.keeps_state and self._away is not None:
            if not self.allows(place):
                raise UsageError("the newest state of this module is in the other place; synchronise first")
            self.newest = place

    def undo_note(self, before: Place | None) -> None:
        """The call was not started after all."""
        with self._lock:
            self.newest = before

    def _begin(
        self,
        handler: OffloadHandler,
        requirements: Mapping[str, object] | None,
        choose: Callable[[Offers], Offer],
    ) -> _Away:
        offers = handler.request(self.wasm, requirements=requirements)
        item = offers.selected or handler.select(offers, choose(offers))
        away = _Away(handler, item, None)
        try:
            if self.keeps_state:
                handler.synchronise(item, self._local.state())
            return _Away(handler, item, _data_session(item))
        except BaseException:
            with contextlib.suppress(HostLost):  # what failed first is what the caller has to know
                self._end(away)
            raise

    def _remote(self, away: _Away, request: _Request) -> Answer:
        try:
            return self._travel(self._connected(away, request), request)
        except EdgeProblem as error:
            if self.keeps_state or error.code not in INSTANCE_GONE:
                raise
            away.handler.reactivate(away.item)  # it remembered nothing, and nothing of the call was begun
            return self._travel(away, request)

    def _connected(self, away: _Away, request: _Request) -> _Away:
        """Open another session of the data plane if the former one is over; without one there is HTTP."""
        if away.data is None or not away.data.is_over:
            return away
        if not self.keeps_state:
            return self._come_back(away, away.data, request)
        with self._lock:
            if self._away is not away:
                return self._away or away
            try:
                data = _data_session(away.item)
            except LawowError:  # whatever has become of the lease, HTTP tells it
                data = None
            self._away = replace(away, data=data)
            return self._away

    def _come_back(self, away: _Away, former: DataSession, request: _Request) -> _Away:
        """Return the module's place with another session. Raises `HostLost` while there is none."""
        with self._counting:
            if self._away is away and away.comeback is None:
                away = self._away = replace(away, comeback=Comeback(lambda: self._found(former)))
            comeback = None if self._away is None else self._away.comeback
        if comeback is None:  # others came back, or the module came home
            return self._away or away
        data = comeback.wait(patience(former.greeting_seconds, request.seconds))
        with self._counting:
            if self._away is not None and self._away.comeback is comeback:
                self._away = replace(self._away, data=data, comeback=None)
            return self._away or away

    def _found(self, former: DataSession) -> DataSession | None:
        """Find the lease's data plane, after its instance was initialised again if that is what it takes."""
        away = self._require_away()
        try:
            data = _data_session(away.item)
        except LawowError:  # it remembered nothing, so another instance will do
            away.handler.reactivate(away.item)
            data = _data_session(away.item)
        now = self._away
        if data is not None and (now is None or now.data is not former):  # it is not wanted any more
            data.close()
        return data

    def _travel(self, away: _Away, request: _Request) -> Answer:
        """Send a call, and tell who wants to know how long it travelled, unless others were on the way."""
        started = time.perf_counter()
        with self._counting:
            is_alone = self._under_way == 0
            self._under_way += 1
        try:
            answer, edge_seconds = self._call(away, request)
        finally:
            with self._counting:
                self._under_way -= 1
        if is_alone and request.on_travel is not None:
            exchanged = (
                size_and_bytes(request.values)[1] + size_and_bytes([*answer[0], *answer[1].values()])[1]
            )
            seconds = time.perf_counter() - started - edge_seconds
            request.on_travel(_edge_name(away.item), exchanged, seconds)
        return answer

    def _call(self, away: _Away, request: _Request) -> tuple[Answer, float]:
        """Return the answer, and how many seconds the edge prepared and ran."""
        call = (request.export, request.signature, request.values)
        if away.data is None:
            outcome = away.item.call(*call, deadline_seconds=request.seconds)
            return (outcome.results, outcome.changed), outcome.seconds.prepare + outcome.seconds.run
        target = f"session:{away.item.lease}" if self.keeps_state else f"sha256:{self.digest}"
        told: list[float] = []
        answer = away.data.call(
            target,
            *call,
            deadline_seconds=request.seconds,
            cancel=request.cancel,
            on_edge=told.append,
            patience_seconds=None
            if self.keeps_state
            else patience(away.data.greeting_seconds, request.seconds),
            may_repeat=request.may_repeat,
        )
        return answer, sum(told)

    def _fetch_state(self, away: _Away) -> None:
        if self.keeps_state:
            state = away.handler.synchronise(away.item)
            assert state is not None  # that is what it returns when it is given none
            self._local.replace_state(state)

    def _require_away(self) -> _Away:
        away = self._away
        if away is None:
            raise LocalProtocolError("the module is at home; offload it first")
        return away

    def _end(self, away: _Away) -> None:
        if away.data is not None:
            away.data.close()
        away.handler.recall(away.item, with_state=False)


def patience(greeting_seconds: float, deadline_seconds: float | None) -> float:
    """Return how long calls that can run here wait for a connection that was lost, in seconds.

    Ten times as long as it took at first, at least one; and no more than a quarter of the call's time.
    """
    seconds = EDGE.deadline_seconds if deadline_seconds is None else deadline_seconds
    return min(max(PATIENCE_GREETINGS * greeting_seconds, LEAST_PATIENCE_SECONDS), seconds / 4)


def _edge_name(item: Offloaded) -> str:
    return f"{item.host} at {item.control.edge.address}"


def _data_session(item: Offloaded) -> DataSession | None:
    """Return a client for the endpoint of a lease that has one. Raises `RemoteProtocolError`, `HostLost`."""
    if item.endpoint is None:
        return None
    return DataSession.of_endpoint(item.endpoint, item.token, item.control.edge)
