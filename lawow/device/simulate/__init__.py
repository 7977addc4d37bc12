"""Replays calls in virtual time through the very policies that decide real ones."""

from __future__ import annotations

from lawow.device.simulate.capacity import CapacityResult, simulate_capacity
from lawow.device.simulate.comparison import Comparison, compare, policies
from lawow.device.simulate.replay import Outcome, Scenario, oracle_cost, replay
from lawow.device.simulate.workload import Function, SimCall, read_trace, synthetic

__all__ = [
    "CapacityResult",
    "Comparison",
    "Function",
    "Outcome",
    "Scenario",
    "SimCall",
    "compare",
    "oracle_cost",
    "policies",
    "read_trace",
    "replay",
    "simulate_capacity",
    "synthetic",
]
