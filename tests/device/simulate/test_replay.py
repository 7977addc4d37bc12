"""The default policy against the oracle and both static ones, over scenarios made from fixed seeds."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

import pytest

from lawow.device.policy import Objective
from lawow.device.profiles import NetworkProfile, load_device, load_network
from lawow.device.provenance import Provenance
from lawow.device.simulate import (
    Function,
    Scenario,
    SimCall,
    compare,
    oracle_cost,
    policies,
    replay,
    simulate_capacity,
    synthetic,
)
from lawow.device.simulate.replay import draws
from lawow.device.simulate.workload import MIXED

DEVICES = [load_device(name) for name in ("pi3b", "jetson-nano", "mate10")]
NETWORKS = [load_network(name) for name in ("lan", "wifi", "5g", "4g")]
DETECTION = MIXED[0]
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


@pytest.mark.slow
def test_the_default_is_near_the_oracle_and_never_much_worse_than_the_better_static_choice() -> None:
    over_oracle, over_static = [], []
    for seed in range(1000, 1500):
        result = compare(*scenario(seed), ["adaptive"])
        over_oracle.append(result.over_oracle("adaptive"))
        over_static.append(result.over_better_static("adaptive"))
    assert statistics.median(over_oracle) <= 1.05
    assert max(over_static) <= 1.25


@pytest.mark.parametrize("seed", range(5))
def test_no_policy_is_cheaper_than_the_oracle(seed: int) -> None:
    result = compare(*scenario(seed))
    assert all(result.over_oracle(name) >= 1 - 1e-9 for name in result.outcomes)


@pytest.mark.parametrize(
    ("device", "network", "published"),
    [("pi3b", "lan", (1.3, 0.065)), ("pi3b", "5g", (1.3, 0.090)), ("jetson-nano", "5g", (0.060, 0.0844))],
)
def test_the_second_papers_response_times_come_out(
    device: str, network: str, published: tuple[float, float]
) -> None:
    made = Scenario(load_device(device), load_network(network))
    calls = synthetic([DETECTION], 2000, 1)
    result = compare(calls, made, ["adaptive"])
    for name, seconds in zip(("local", "remote"), published, strict=True):
        mean = result.outcomes[name].seconds / len(calls)
        assert mean == pytest.approx(seconds, rel=0.25)


def test_the_jetson_stays_for_time_and_offloads_for_energy() -> None:
    calls = synthetic([DETECTION], 1000, 1)
    shares = {}
    for objective in ("time", "energy"):
        made = Scenario(load_device("jetson-nano"), load_network("5g"), Objective.named(objective))
        shares[objective] = compare(calls, made, ["adaptive"]).outcomes["adaptive"].remote_calls / 1000
    assert shares["time"] < 0.05
    assert shares["energy"] > 0.95


def test_the_first_papers_savings_come_out_on_its_phone() -> None:
    programs = {"matrix-multiply": 0.90, "insertion-sort": 0.84, "fibonacci": 0.73}
    for name, saved in programs.items():
        calls = synthetic([Function(name, 0.5, 0.0, 1.0, 0.0, 8.0, 8.0)], 200, 1)
        made = Scenario(load_device("mate10"), load_network("wifi"))
        outcomes = compare(calls, made, ["adaptive"]).outcomes
        assert 1 - outcomes["remote"].seconds / outcomes["local"].seconds == pytest.approx(saved, abs=0.02)


def test_the_same_seed_gives_the_same_outcome() -> None:
    calls, made = scenario(7)
    drawn, policy = draws(calls, made), policies(made, calls)["adaptive"]
    assert replay(calls, drawn, made, policy()) == replay(calls, drawn, made, policy())
    assert oracle_cost(calls, drawn, made) == oracle_cost(calls, draws(calls, made), made)


def test_more_devices_on_one_edge_wait_longer_and_learn_to_stay() -> None:
    calls = synthetic([DETECTION], 200, 3)
    made = Scenario(load_device("mate10"), load_network("wifi"))
    results = [
        simulate_capacity(
            calls,
            made,
            policies(made, calls)["adaptive"],
            devices=devices,
            processors=2,
            calls_per_device=40,
            pause_seconds=0.5,
        )
        for devices in (2, 200)
    ]
    assert results[0].mean_wait_seconds < results[1].mean_wait_seconds
    assert results[0].remote_calls / results[0].calls > results[1].remote_calls / results[1].calls
    assert results[1].busy <= 1


def test_networks_of_the_package_are_all_modelled() -> None:
    assert {network.provenance for network in NETWORKS} == {Provenance.MODELLED}
