"""A policy that is told what the device notices: its network, and what triggers say.

The way to the edge is measured by the calls themselves and by the Notifier's `ROUND_TRIP` and `THROUGHPUT`,
apart for each edge and kind of network, so that what was known of one is there again with it. A change of the
kind, and triggers, let the policy look at the other place again, or give it another objective while they are
active. Triggers bring their hysteresis and dwell times along; the policy keeps its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lawow.device.notifier.events import Event
from lawow.device.notifier.metrics import Metric, Reading, Sample
from lawow.device.notifier.notifier import Notifier
from lawow.device.notifier.triggers import Trigger, above
from lawow.device.policy import ElasticCall, Link, LinkMeter, Objective, Place, Policy
from lawow.errors import UsageError

__all__ = ["Informed", "When"]

BY_CALLS = "calls of elastic functions"
"""The source of what is reported here: it is not listened to again."""
THROTTLED = above(Metric.THROTTLING, 10.0, hysteresis=5.0)


@dataclass(frozen=True, slots=True)
class When:
    """What a trigger does: the policy looks again as it turns, and pursues `objective` while it is active.

    Of several that are active, the first that was given counts.
    """

    trigger: Trigger
    objective: Objective | None = None


class Informed:
    """A policy that asks `policy`, and tells it. For one edge's functions, which may share it.

    Without `when` it looks again when the device begins or ends to throttle. `close` ends the listening.
    """

    def __init__(self, policy: Policy, notifier: Notifier, when: Sequence[When] = (When(THROTTLED),)) -> None:
        """Raises `UsageError` for an objective that the policy cannot pursue."""
        self.policy = policy
        self._notifier = notifier
        self._when = tuple(when)
        self._require_objectives()
        self._active: set[int] = set()
        self._kind = ""
        self._edge = ""
        self._meters: dict[tuple[str, str], LinkMeter] = {}
        self._heard: dict[Metric, float] = {}
        self._subscriptions = [
            notifier.subscribe(rule.trigger, partial(self._turned, index))
            for index, rule in enumerate(self._when)
        ]
        self._forget = notifier.listen(self._sampled)

    def close(self) -> None:
        """Hear nothing more; the policy goes on with what it knows."""
        self._forget()
        for subscription in self._subscriptions:
            subscription.close()

    def decide(self, call: ElasticCall) -> Place:
        """Return what the policy says."""
        return self.policy.decide(call)

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Tell the policy."""
        self.policy.learn(call, place, seconds)

    def travelled(self, edge: str, exchanged_bytes: int, seconds: float) -> None:
        """Take note that a call was so long on its way, running not counted; tell policy and Notifier."""
        self._edge = edge
        meter = self._meter()
        meter.learn(exchanged_bytes, seconds)
        self._tell_policy(meter)
        link = meter.link
        self._notifier.report(Metric.ROUND_TRIP, link.round_trip_seconds, source=BY_CALLS)
        self._notifier.report(Metric.THROUGHPUT, link.bytes_per_second, source=BY_CALLS)

    # inside

    def _sampled(self, sample: Sample) -> None:
        kind = sample.readings.get(Metric.NETWORK_KIND)
        if kind is not None and kind.value != self._kind:
            is_first, self._kind = not self._kind, str(kind.value)
            self._changed_network(is_first)
        trip, rate = (self._news(sample, metric) for metric in (Metric.ROUND_TRIP, Metric.THROUGHPUT))
        if trip is None and rate is None:
            return
        meter = self._meter()
        link = meter.link
        meter.tell(
            Link(
                link.round_trip_seconds if trip is None else trip,
                link.bytes_per_second if rate is None else rate,
            )
        )
        self._tell_policy(meter)

    def _news(self, sample: Sample, metric: Metric) -> float | None:
        """Return what somebody else has measured since the last time, if it is a number that can be."""
        reading = sample.readings.get(metric)
        if reading is None or not self._is_new(reading) or isinstance(reading.value, str):
            return None
        self._heard[metric] = reading.seconds
        return reading.value if 0 <= reading.value < float("inf") else None

    def _is_new(self, reading: Reading) -> bool:
        return reading.source != BY_CALLS and reading.seconds > self._heard.get(reading.metric, -1.0)

    def _changed_network(self, is_first: bool) -> None:
        """Go on with what is known of this kind; of another kind nothing is, so that it is tried."""
        if is_first:
            former = self._meters.get((self._edge, ""))
            if former is not None:  # measured before its kind was known
                self._meters[self._edge, self._kind] = former
            return
        self._tell_policy(self._meter())
        self._look_again()

    def _meter(self) -> LinkMeter:
        return self._meters.setdefault((self._edge, self._kind), LinkMeter())

    def _turned(self, index: int, event: Event) -> None:
        (self._active.add if event.is_active else self._active.discard)(index)
        active = [
            rule.objective for at, rule in enumerate(self._when) if at in self._active and rule.objective
        ]
        if any(rule.objective for rule in self._when):
            self.policy.pursue(active[0] if active else None)  # type: ignore[attr-defined]  # it has it
        self._look_again()

    def _look_again(self) -> None:
        if (look := getattr(self.policy, "look_again", None)) is not None:
            look()

    def _tell_policy(self, meter: LinkMeter) -> None:
        if (notice := getattr(self.policy, "notice", None)) is not None:
            notice(meter.link if meter.is_known else Link())

    def _require_objectives(self) -> None:
        """Pursue each objective once: one that cannot be is refused here, not when it is needed."""
        objectives = [rule.objective for rule in self._when if rule.objective is not None]
        if not objectives:
            return
        pursue = getattr(self.policy, "pursue", None)
        if pursue is None:
            raise UsageError(f"the policy {type(self.policy).__name__} pursues no objective; take Adaptive")
        try:
            for objective in objectives:
                pursue(objective)
        finally:
            pursue(None)
