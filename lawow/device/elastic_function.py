"""A function that runs here or on an edge, call by call: an export of an `ElasticModule`.

The version that runs here is the module's WebAssembly, or a native one that does the same. A policy says
where each call runs. If an edge does not answer with a result, the call runs here if it was not started
there; if nobody knows, it runs here only if it is idempotent, and `OutcomeUnknown` says so otherwise. `map`
spreads many calls over several edges. `lawow.device.resilience` has what can be done beyond that, about
edges that are slow, gone or wrong.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache

from lawow.channel.documents import Value
from lawow.device.balance import new_pace
from lawow.device.cancel import Cancel
from lawow.device.elastic_map import Mapped, Site, spread
from lawow.device.elastic_module import Answer, ElasticModule
from lawow.device.elastic_options import informed
from lawow.device.energy import EnergyLedger
from lawow.device.nesting import current, nested
from lawow.device.notifier import Informed, Notifier
from lawow.device.outcomes import Failure, failure_of
from lawow.device.policy import Adaptive, ElasticCall, Place, Policy
from lawow.device.policy.estimate import Estimate
from lawow.device.resilience import Hedge, Mismatch, Resilience
from lawow.device.resilience.copies import own_copies, take_over
from lawow.device.resilience.shadow import bits_of
from lawow.device.tracing import recorder, size_and_bytes
from lawow.errors import GuestTrap, HostLost, LawowError, LimitExceeded, OutcomeUnknown, UsageError
from lawow.formats.signature import parse_typed_signature

__all__ = ["ElasticFunction", "Native", "Result"]

LOG = logging.getLogger("lawow.device")
UNENTERED = nullcontext()
Native = Callable[..., object]
Result = Value | tuple[Value, ...] | None


class ElasticFunction:
    """A function that runs here or there. Call it, or `await` its `call_async`.

    `idempotent`: running it twice does no harm; by default true of modules that import nothing and keep no
    state. `native`, if given, runs here in place of the module; it must do the same. Lists of in-out
    parameters (docs/edge.md, "Values") are changed in place, wherever the call runs. `last_place` tells where
    the last call ran; `mismatch` what shadow mode found: while it is set, calls run here. Each run, here and
    there, is entered in `ledger` by `name`, the export's unless another is given. With a `notifier` the
    policy, `Adaptive` unless one is given, becomes an `Informed` one.
    """

    def __init__(
        self,
        module: ElasticModule,
        export: str,
        *,
        signature: str | None = None,
        native: Native | None = None,
        name: str | None = None,
        policy: Policy | None = None,
        idempotent: bool | None = None,
        deadline_seconds: float | None = None,
        resilience: Resilience | None = None,
        ledger: EnergyLedger | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """Raises `UsageError` for an export that is not there, a ledger without a source, and for what
        `Resilience.require_fit` refuses, `FormatError` for a signature that is none.
        """
        if export not in module.signatures:
            raise UsageError(
                f"no exported function is named {export!r}; functions exported: "
                f"{', '.join(module.signatures) or 'none'}"
            )
        if native is not None and module.keeps_state:
            raise UsageError(f"{export}: a native version does not share the state that its module keeps")
        if ledger is not None:
            ledger.require_source()
        self.module = module
        self.export = export
        self.name = name or export
        self.signature = parse_typed_signature(signature or module.signatures[export]).text
        self.policy = informed(policy, notifier)
        self.is_idempotent = module.is_pure if idempotent is None else idempotent
        self.deadline_seconds = deadline_seconds
        self.resilience = Resilience() if resilience is None else resilience
        self.resilience.require_fit(export, is_idempotent=self.is_idempotent, keeps_state=module.keeps_state)
        self.ledger = ledger
        self.last_place: Place | None = None
        self.mismatch: Mismatch | None = None
        self._native = native
        self._paces: dict[str | None, Estimate] = {}

    def __call__(self, *values: Value, deadline_seconds: float | None = None) -> Result:
        """Call it and return its result: one value, a tuple of several, or None.

        `deadline_seconds` holds for all that is tried. Raises `GuestTrap`, `LimitExceeded`, `FormatError`,
        `OutcomeUnknown`, and `HostLost` where the edge that has the state cannot be reached.
        """
        seconds = self.deadline_seconds if deadline_seconds is None else deadline_seconds
        call = self._call_of(values, seconds)
        with nested(self.export):
            return self._made(call, values, seconds)

    def _made(self, call: ElasticCall, values: Sequence[Value], seconds: float | None) -> Result:
        """Make a call where the policy says, and here if that fails and may be done."""
        if self._place_of(call) is Place.LOCAL:
            return self._here(call, values, seconds)
        ends = None if seconds is None else time.monotonic() + seconds
        before = self.module.newest
        try:
            return self._remotely(call, values, seconds)
        except LawowError as error:
            self._require_fallback(error, before)
        return self._here(call, values, _left(ends))

    async def call_async(self, *values: Value, deadline_seconds: float | None = None) -> Result:
        """Call it without blocking the event loop. A task that is cancelled does not stop the call."""
        import asyncio

        return await asyncio.to_thread(self, *values, deadline_seconds=deadline_seconds)

    def map(
        self, inputs: Iterable[Sequence[Value]], *, also: Sequence[ElasticModule] = (), in_flight: int = 4
    ) -> list[Result]:
        """Call it with each tuple of arguments, over several leases at once; return the results in order.

        `also` are further modules of the same bytes, each offloaded to another edge. Each lease gets as many
        calls as its learned speed is worth, up to `in_flight` at a time; the version here takes part in those
        that the policy would run here, and in all if no lease is left. After an error nothing more begins,
        and the first one is raised; `map_outcomes` goes on. Raises `UsageError` for other bytes, or state.
        """
        outcomes = self._spread(inputs, also, in_flight, stops_early=True)
        return [outcomes[index].result for index in sorted(outcomes)]

    def map_outcomes(
        self, inputs: Iterable[Sequence[Value]], *, also: Sequence[ElasticModule] = (), in_flight: int = 4
    ) -> list[Mapped[Result]]:
        """Do the same, to the end, and return for each call where it ran, how long, its result or error."""
        outcomes = self._spread(inputs, also, in_flight, stops_early=False)
        return [outcomes[index] for index in sorted(outcomes)]

    def explain(self, *values: Value) -> str:
        """Say where a call with these arguments would run now, and why. Changes nothing."""
        if not self.module.allows(Place.REMOTE):
            return "local: the module, or its newest state, is here"
        if not self.module.allows(Place.LOCAL):
            return "remote: the newest state of the module is there"
        if self.mismatch is not None:
            return f"local: {self.mismatch}"
        breaker, edge = self.resilience.breaker, self.module.edge_name
        if breaker is not None and edge is not None and (refusal := breaker.refusal(edge)) is not None:
            return f"local: {refusal}"
        policy = self.policy.policy if isinstance(self.policy, Informed) else self.policy
        if isinstance(policy, Adaptive):
            return str(policy.explain(self._call_of(values, self.deadline_seconds)))
        return f"as the policy {type(policy).__name__} decides"

    def _call_of(self, values: Sequence[Value], seconds: float | None) -> ElasticCall:
        size, sent_bytes = size_and_bytes(values)
        path = () if (frame := current()) is None else frame.path
        return ElasticCall(self.module.digest, self.export, len(values), seconds, size, sent_bytes, path=path)

    def _place_of(self, call: ElasticCall) -> Place:
        """Ask the policy, where there is a choice."""
        allowed = [place for place in Place if self.module.allows(place)]
        if len(allowed) < len(Place):
            return allowed[0]
        return Place.LOCAL if self.mismatch is not None else self.policy.decide(call)

    def _remotely(self, call: ElasticCall, values: Sequence[Value], seconds: float | None) -> Result:
        """Send the call to the edge, and run it here as well where that was asked for."""
        shadow, hedge = self.resilience.shadow, self.resilience.hedge
        if shadow is not None and shadow.wants():
            return self._compared(call, values, seconds)
        if hedge is not None:
            return self._hedged(hedge, call, values, seconds)
        return self._timed(call, Place.REMOTE, lambda: self._there(values, seconds))

    def _hedged(
        self, hedge: Hedge, call: ElasticCall, values: Sequence[Value], seconds: float | None
    ) -> Result:
        """Return what the quicker place gives; the policy learns of both."""
        self.last_place = Place.REMOTE
        started, ends = time.perf_counter(), None if seconds is None else time.monotonic() + seconds
        first = hedge.run(
            (call.digest, call.export),
            values,
            there=lambda own, cancel: self._there(own, seconds, cancel),
            here=lambda own, cancel: self._run_here(own, _left(ends), cancel),
        )
        self.last_place = first.place
        if first.place is Place.LOCAL:  # or it would go on to be sent there as if nothing were known
            self.policy.learn(call, Place.REMOTE, time.perf_counter() - started)
        result = first.result
        self._note(call, first.place, first.seconds, result)
        return result

    def _compared(self, call: ElasticCall, values: Sequence[Value], seconds: float | None) -> Result:
        """Run the call in both places; on a mismatch what it gives here holds, and no more are sent."""
        ends = None if seconds is None else time.monotonic() + seconds
        own, others = own_copies(values), own_copies(values)
        result, trap = None, None
        try:
            result = self._timed(call, Place.REMOTE, lambda: self._there(others, seconds))
        except GuestTrap as error:
            trap = error
        there = None if trap is not None else bits_of(self.signature, result, others)
        try:
            mine = self._run_here(own, _left(ends))
        except (LimitExceeded, HostLost, OutcomeUnknown):  # of this device, or of another call; no comparison
            pass
        except Exception:
            self._judge(None, there)
            raise
        else:
            if self._judge(bits_of(self.signature, mine, own), there):
                self.last_place, result, others, trap = Place.LOCAL, mine, own, None
        if trap is not None:
            raise trap
        take_over(values, others)
        return result

    def _judge(self, here: bytes | None, there: bytes | None) -> bool:
        """Tell whether the places disagree; if so, this function is not offloaded any more."""
        if here == there:
            return False
        self.mismatch = Mismatch(self.export, here, there)
        LOG.warning("%s (module %.12s, edge %s)", self.mismatch, self.module.digest, self.module.edge_name)
        return True

    def _here(self, call: ElasticCall, values: Sequence[Value], seconds: float | None) -> Result:
        return self._timed(call, Place.LOCAL, lambda: self._run_here(values, seconds))

    def _run_here(
        self, values: Sequence[Value], seconds: float | None, cancel: Cancel | None = None
    ) -> Result:
        with self._entered(Place.LOCAL):
            if self._native is not None:
                return self._native(*values)  # type: ignore[return-value]  # as its owner has declared
            return _taken(values, self.module.call_here(self.export, self.signature, values, seconds, cancel))

    def _spread(
        self,
        inputs: Iterable[Sequence[Value]],
        also: Sequence[ElasticModule],
        in_flight: int,
        *,
        stops_early: bool,
    ) -> dict[int, Mapped[Result]]:
        modules = [self.module, *also]
        if (
            in_flight < 1
            or self.module.keeps_state
            or any(item.digest != self.module.digest for item in also)
        ):
            raise UsageError(
                f"{self.export}: map takes modules of the same bytes that keep no state, in_flight from 1 on"
            )
        batch = [tuple(values) for values in inputs]
        calls = [self._call_of(values, self.deadline_seconds) for values in batch]
        leases = [] if self.mismatch is not None else [item for item in modules if item.offloaded is not None]
        return spread(
            batch,
            [call.size for call in calls],
            [self._site(None), *(self._site(module) for module in leases)],
            in_flight=in_flight,
            is_for_device=cache(lambda index: self.policy.decide(calls[index]) is Place.LOCAL),
            may_go_on=self._may_go_on,
            stops_early=stops_early,
        )

    def _site(self, module: ElasticModule | None) -> Site[Result]:
        """Return a place for a batch: the lease of a module, or the version here."""
        name, seconds = None if module is None else module.edge_name, self.deadline_seconds

        def run(values: Sequence[Value], is_alone: bool) -> Result:
            call, started = self._call_of(values, seconds), time.perf_counter()
            with nested(self.export):
                if module is None:
                    place, result = Place.LOCAL, self._run_here(values, seconds)
                else:
                    place, result = Place.REMOTE, self._there(values, seconds, None, module)
                self._note(call, place, time.perf_counter() - started, result, learns=is_alone)
            return result

        return Site(name, self._paces.setdefault(name, new_pace()), run)

    def _may_go_on(self, error: LawowError) -> bool:
        """Tell whether a call that a lease failed may be made elsewhere."""
        failure = failure_of(error)
        return failure is Failure.NOT_STARTED or (failure is Failure.UNKNOWN and self.is_idempotent)

    def _there(
        self,
        values: Sequence[Value],
        seconds: float | None,
        cancel: Cancel | None = None,
        module: ElasticModule | None = None,
    ) -> Result:
        home = module or self.module

        def send() -> Answer:
            with self._entered(Place.REMOTE):
                return home.call_there(
                    self.export,
                    self.signature,
                    values,
                    seconds,
                    cancel,
                    on_travel=getattr(self.policy, "travelled", None),
                    may_repeat=self.is_idempotent,
                )

        breaker, edge = self.resilience.breaker, home.edge_name
        if breaker is None or edge is None:
            return _taken(values, send())
        return _taken(values, breaker.call(edge, send, lambda: cancel is not None and cancel.is_set))

    def _entered(self, place: Place) -> AbstractContextManager[None]:
        return UNENTERED if self.ledger is None else self.ledger.run(self.name, place)

    def _timed(self, call: ElasticCall, place: Place, run: Callable[[], Result]) -> Result:
        self.last_place = place
        started = time.perf_counter()
        result = run()
        self._note(call, place, time.perf_counter() - started, result)
        return result

    def _note(
        self, call: ElasticCall, place: Place, seconds: float, result: Result, *, learns: bool = True
    ) -> None:
        """Tell the trace if one is recorded, and the policy; within the frame of the call.

        The policy learns nothing of a call that had others beside it: they are a part of its time.
        """
        frame = current()
        if frame is not None and frame.inner_seconds and place is Place.LOCAL:
            call = replace(call, inner_seconds=frame.inner_seconds)
        if learns:
            self.policy.learn(call, place, seconds)
        if (trace := recorder()) is not None:
            trace.note(call, place, seconds, result, frame)

    def _require_fallback(self, error: LawowError, before: Place | None) -> None:
        """Return if the call may run here now; else raise what the caller has to know."""
        failure = failure_of(error)
        if failure is None:
            raise error
        if failure is Failure.UNKNOWN and not self.is_idempotent:
            raise OutcomeUnknown(
                f"{self.export}: {error}; it is not declared idempotent, so it was not run again"
            ) from error
        if before is Place.REMOTE:
            raise HostLost(
                f"{self.export}: {error}; the newest state of the module is there, so it was not run here: "
                "try again, or give_up() to go on from the state that was synchronised last"
            ) from error
        self.module.undo_note(before)


def _left(ends: float | None) -> float | None:
    """Return how long a call may still take, by the clock of `time.monotonic`."""
    return None if ends is None else max(ends - time.monotonic(), 0.001)


def _taken(values: Sequence[Value], answer: Answer) -> Result:
    """Put changed lists into the caller's own, and return the results as one value."""
    results, changed = answer
    for index, items in changed.items():
        target = values[index]
        if isinstance(target, MutableSequence):
            target[:] = items
    if len(results) == 1:
        return results[0]
    return results or None
