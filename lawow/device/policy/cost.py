"""The cost model: what a call costs here and on the edge. All of it, in one place, with its units.

    local seconds  = run here
    remote seconds = round trip + sent bytes / bandwidth + rest      (+ preparing, where the edge is cold)
    mWh            = watts while it runs there x seconds / 3.6       (watts of the whole device)
    price          = seconds on the edge x price per second
    cost           = seconds x seconds_weight + mWh x mwh_weight + price x price_weight

*rest* is what a call takes beyond the transfer: waiting in the edge's queue, running, and what comes back.
Run and rest are learned by `lawow.device.policy.estimate`; round trip and bandwidth are told by who measures
them (`Link`); watts come from a device file or a meter. Weights make objectives:

    time     seconds alone
    energy   mWh alone
    both     a joule counts as much as `BOTH_SECONDS_PER_JOULE` seconds
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.device.energy_units import JOULES_PER_MWH
from lawow.device.policy.basic import Place
from lawow.errors import UsageError

__all__ = ["BOTH_SECONDS_PER_JOULE", "CostModel", "Link", "Objective", "Prediction"]

BOTH_SECONDS_PER_JOULE = 0.2
"""At 5 W, which a busy small device draws, time and energy count the same."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is to be little. The limits are hard: they are met before anything is weighed, if a place can.

    `limit_seconds` and `limit_mwh` hold for one call, `limit_price` as well.
    """

    seconds_weight: float = 1.0
    mwh_weight: float = 0.0
    price_weight: float = 0.0
    limit_seconds: float | None = None
    limit_mwh: float | None = None
    limit_price: float | None = None

    def __post_init__(self) -> None:
        weights = (self.seconds_weight, self.mwh_weight, self.price_weight)
        if min(weights) < 0 or not any(weights):
            raise UsageError(f"weights must be 0 or more, and one of them above it; found {weights}")

    @classmethod
    def named(cls, name: str) -> Objective:
        """Return the objective ``time``, ``energy`` or ``both``."""
        weights = {
            "time": (1.0, 0.0),
            "energy": (0.0, 1.0),
            "both": (1.0, BOTH_SECONDS_PER_JOULE * JOULES_PER_MWH),
        }
        if name not in weights:
            raise UsageError(f"no objective is named {name!r}; there are {', '.join(weights)}")
        return cls(*weights[name])


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the way to the edge. Where nobody measures, it costs nothing and all is learned."""

    round_trip_seconds: float = 0.0
    bytes_per_second: float = float("inf")

    def seconds(self, sent_bytes: int) -> float:
        """Return the time that travelling takes."""
        return self.round_trip_seconds + sent_bytes / self.bytes_per_second


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a call costs in one place, in seconds, mWh, money, and all together by the objective."""

    seconds: float
    mwh: float
    price: float
    cost: float


class CostModel:
    """The formulas above for one device, network and objective. Watts of 0: energy is not counted."""

    def __init__(
        self,
        objective: Objective | None = None,
        *,
        local_watts: float = 0.0,
        remote_watts: float = 0.0,
        price_per_second: float = 0.0,
    ) -> None:
        objective = Objective() if objective is None else objective
        if not (objective.seconds_weight or objective.price_weight) and not (local_watts and remote_watts):
            raise UsageError(
                "an objective of energy alone needs the watts of both places; give a device file"
            )
        self.objective = objective
        self.watts = {Place.LOCAL: local_watts, Place.REMOTE: remote_watts}
        self.price_per_second = price_per_second
        weight = objective.mwh_weight / JOULES_PER_MWH
        self.local_rate = objective.seconds_weight + weight * local_watts
        self.remote_rate = objective.seconds_weight + weight * remote_watts
        self.edge_rate = objective.price_weight * price_per_second

    def pursuing(self, objective: Objective) -> CostModel:
        """Return the same device, network and price with another objective. Raises as the constructor."""
        return CostModel(
            objective,
            local_watts=self.watts[Place.LOCAL],
            remote_watts=self.watts[Place.REMOTE],
            price_per_second=self.price_per_second,
        )

    def cost(self, place: Place, seconds: float, edge_seconds: float = 0.0) -> float:
        """Return what a call of so many seconds costs; `edge_seconds` of them are paid for."""
        if place is Place.LOCAL:
            return self.local_rate * seconds
        return self.remote_rate * seconds + self.edge_rate * edge_seconds

    def prediction(self, place: Place, seconds: float, edge_seconds: float = 0.0) -> Prediction:
        """Return the parts of that cost as well."""
        price = self.price_per_second * edge_seconds if place is Place.REMOTE else 0.0
        mwh = self.watts[place] * seconds / JOULES_PER_MWH
        return Prediction(seconds, mwh, price, self.cost(place, seconds, edge_seconds))

    def breaks(self, prediction: Prediction, deadline_seconds: float | None) -> float:
        """Return by what factor the limit that is missed most is missed; at most 1 if all are met."""
        objective = self.objective
        pairs = (
            (prediction.seconds, deadline_seconds),
            (prediction.seconds, objective.limit_seconds),
            (prediction.mwh, objective.limit_mwh),
            (prediction.price, objective.limit_price),
        )
        return max((value / max(limit, 1e-12) for value, limit in pairs if limit is not None), default=0.0)

    def has_limits(self) -> bool:
        """Tell whether the objective has any hard limit."""
        objective = self.objective
        return any(
            limit is not None
            for limit in (objective.limit_seconds, objective.limit_mwh, objective.limit_price)
        )
