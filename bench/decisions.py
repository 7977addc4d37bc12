"""What a decision costs, beside the call of an elastic function that does nothing and runs here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from bench.table import Table
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_module import ElasticModule
from lawow.device.policy import (
    Adaptive,
    CallGraph,
    ElasticCall,
    Link,
    Local,
    Place,
    Policy,
    QLearning,
    Threshold,
)
from lawow.runtime.libwasmtime import wat_to_wasm

__all__ = ["measure"]

EMPTY = b'(module (func (export "nothing")))'
COUNT = 20_000
CALLS = 2_000
WANTED_US = 5.0
CALL = ElasticCall("d", "nothing", 1, None, 1_000.0, 4_000)


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure each policy's decision, once it has learned both places, in turns with the local call."""
    del folder
    kinds: tuple[Policy, ...] = (Adaptive(), Threshold(500.0), CallGraph(), QLearning())
    policies = {type(policy).__name__: _taught(policy) for policy in kinds}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in policies}
    nothing = ElasticFunction(ElasticModule(wat_to_wasm(EMPTY)), "nothing", policy=Local())
    for _ in range(rounds):
        local = _microseconds(nothing, CALLS)
        for name, policy in policies.items():
            found[name].append((_microseconds(partial(policy.decide, CALL), COUNT), local))
    rows = []
    for name, pairs in found.items():
        decision, local = (min(item) for item in zip(*pairs, strict=True))
        rows.append((name, decision, local, median(one / other for one, other in pairs), WANTED_US))
    columns = (
        "policy",
        "decision, us",
        "local call, us",
        "ratio (median of rounds)",
        "wanted, us",
    )
    return (Table("Deciding where to run", columns, tuple(rows)),)


def _taught(policy: Policy) -> Policy:
    if isinstance(policy, Adaptive):
        policy.notice(Link(0.02, 5e6))
    for _ in range(20):
        policy.learn(CALL, Place.LOCAL, 0.010)
        policy.learn(CALL, Place.REMOTE, 0.008)
    return policy


def _microseconds(action: Callable[[], object], count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        action()
    return (time.process_time() - started) / count * 1e6
