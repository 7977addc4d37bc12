"""Scenarios by chance from a seed, and the table of docs/decision.md that compares policies over them.

python -m tests.device.simulate.scenarios 1000 1100        # from a seed up to another one
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace

from lawow.device.policy import Objective
from lawow.device.profiles import NetworkProfile, load_device, load_network
from lawow.device.simulate import Comparison, Scenario, SimCall, compare, synthetic
from lawow.device.simulate.workload import MIXED

__all__ = ["NETWORKS", "scenario"]

DEVICES = [load_device(name) for name in ("pi3b", "jetson-nano", "mate10")]
NETWORKS = [load_network(name) for name in ("lan", "wifi", "5g", "4g")]
CALLS = 2000


def changing(network: NetworkProfile, at: float, factor: float) -> NetworkProfile:
    """The network, `factor` times better from a time on."""
    first = network.phases[0]
    then = replace(
        first,
        starts_seconds=at,
        round_trip_seconds=first.round_trip_seconds / factor,
        up_bytes_per_second=first.up_bytes_per_second * factor,
        down_bytes_per_second=first.down_bytes_per_second * factor,
    )
    return replace(network, phases=(first, then))


def scenario(seed: int) -> tuple[list[SimCall], Scenario]:
    """Calls, device, network, objective, and perhaps a change in the middle of the run."""
    chance = random.Random(seed)
    network = chance.choice(NETWORKS)
    change, at = chance.choice([None, "network", "load"]), chance.uniform(100, 300)
    load: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    if change == "network":
        network = changing(network, at, chance.choice([0.1, 0.25, 4, 10]))
    if change == "load":
        load = ((0.0, 1.0), (at, chance.choice([0.5, 2.0, 4.0])))
    objective = Objective.named(chance.choice(["time", "energy", "both"]))
    functions = chance.sample(MIXED, chance.randint(1, len(MIXED)))
    made = Scenario(chance.choice(DEVICES), network, objective, local_load=load, seed=seed)
    return synthetic(functions, CALLS, seed, gap_seconds=0.25), made


def table(seeds: Sequence[int]) -> list[str]:
    """Return a line for each policy, the best first: cost over the oracle's, over the better static one."""
    results: list[Comparison] = [compare(*scenario(seed)) for seed in seeds]
    rows = []
    for name in results[0].outcomes:
        over = sorted(result.over_oracle(name) for result in results)
        worst = max(result.over_better_static(name) for result in results)
        rows.append((statistics.median(over), over[len(over) * 9 // 10], over[-1], worst, name))
    return [
        f"| {name} | {' | '.join(f'{item:.2f}' for item in numbers)} |" for *numbers, name in sorted(rows)
    ]


if __name__ == "__main__":
    print("\n".join(table(range(*map(int, sys.argv[1:3])))))
