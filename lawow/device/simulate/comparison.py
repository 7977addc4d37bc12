"""All policies over the same calls, beside the oracle: the table of `lawow simulate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lawow.device.policy import Adaptive, Automatic, CallGraph, Local, Policy, QLearning, Remote, Threshold
from lawow.device.simulate.replay import Outcome, Scenario, draws, model_of, oracle_cost, replay
from lawow.device.simulate.workload import SimCall

__all__ = ["Comparison", "compare", "policies"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each policy cost, by name, and what the oracle would have."""

    oracle: float
    outcomes: dict[str, Outcome]

    def over_oracle(self, name: str) -> float:
        """Return a policy's cost as a multiple of the oracle's; 1 is perfect."""
        return self.outcomes[name].cost / self.oracle if self.oracle else 1.0

    def over_better_static(self, name: str) -> float:
        """Return a policy's cost as a multiple of the better of always here and always there."""
        static = min(self.outcomes["local"].cost, self.outcomes["remote"].cost)
        return self.outcomes[name].cost / static if static else 1.0


def policies(scenario: Scenario, calls: Sequence[SimCall]) -> dict[str, Callable[[], Policy]]:
    """Return how to make each policy for a scenario; the threshold is the median size of the calls."""
    model = model_of(scenario)
    median = sorted(call.size for call in calls)[len(calls) // 2] if calls else 0.0
    return {
        "adaptive": lambda: Adaptive(model),
        "automatic": Automatic,
        "local": Local,
        "remote": Remote,
        "threshold": lambda: Threshold(median),
        "call-graph": lambda: CallGraph(model),
        "q-learning": lambda: QLearning(model, scenario.seed),
    }


def compare(calls: Sequence[SimCall], scenario: Scenario, names: Sequence[str] = ()) -> Comparison:
    """Replay the calls with each policy named (all, if none is), and with both static ones in any case."""
    drawn, made = draws(calls, scenario), policies(scenario, calls)
    wanted = [name for name in made if not names or name in (*names, "local", "remote")]
    outcomes = {name: replay(calls, drawn, scenario, made[name]()) for name in wanted}
    return Comparison(oracle_cost(calls, drawn, scenario), outcomes)
