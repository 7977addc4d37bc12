"""Many devices against one edge in virtual time: how many devices an edge of so many processors carries.

Each device has a policy of its own and calls when its former call has returned and its pause is over. A call
on the edge waits for the first processor that is free. One heap of devices, one of processors: work grows as
calls x log devices.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace

from lawow.device.policy import ElasticCall, Link, Place, Policy
from lawow.device.simulate.replay import Scenario, draws
from lawow.device.simulate.workload import SimCall

__all__ = ["CapacityResult", "simulate_capacity"]


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """What all devices met together. `busy` is the share of the edge's processor time that was used."""

    devices: int
    calls: int
    remote_calls: int
    mean_seconds: float
    p99_seconds: float
    mean_wait_seconds: float
    busy: float


def simulate_capacity(
    calls: Sequence[SimCall],
    scenario: Scenario,
    make: Callable[[], Policy],
    *,
    devices: int,
    processors: int,
    calls_per_device: int,
    pause_seconds: float,
) -> CapacityResult:
    """Let each device make `calls_per_device` of the calls, beginning at a place of its own in them."""
    drawn, chance = draws(calls, scenario), random.Random(scenario.seed)
    phase = scenario.network.at(0.0)
    link = Link(phase.round_trip_seconds + phase.jitter_seconds, phase.up_bytes_per_second)
    owners = [make() for _ in range(devices)]
    for policy in owners:
        if (notice := getattr(policy, "notice", None)) is not None:
            notice(link)
    offsets = [chance.randrange(len(calls)) for _ in owners]
    ready = [(chance.expovariate(1 / pause_seconds), index, 0) for index in range(devices)]
    heapify(ready)
    free = [0.0] * processors
    times: list[float] = []
    waited = used = ends = 0.0
    remote_calls = 0
    while ready:
        now, index, done = heappop(ready)
        at = (offsets[index] + done) % len(calls)
        call, draw, policy = calls[at], drawn[at], owners[index]
        asked = ElasticCall("", call.export, 1, None, call.size, call.sent_bytes)
        place, seconds = policy.decide(asked), draw.local
        if place is Place.REMOTE:
            arrives = now + (draw.remote - draw.edge)
            wait = max(free[0] - arrives, 0.0)
            heapreplace(free, arrives + wait + draw.edge)
            seconds = draw.remote + wait
            waited, used, remote_calls = waited + wait, used + draw.edge, remote_calls + 1
        policy.learn(asked, place, seconds)
        times.append(seconds)
        ends = max(ends, now + seconds)
        if done + 1 < calls_per_device:
            heappush(ready, (now + seconds + chance.expovariate(1 / pause_seconds), index, done + 1))
    times.sort()
    return CapacityResult(
        devices,
        len(times),
        remote_calls,
        sum(times) / len(times),
        times[min(int(len(times) * 0.99), len(times) - 1)],
        waited / max(remote_calls, 1),
        used / (processors * ends),
    )
