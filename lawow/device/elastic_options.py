"""The options that every way to make an elastic function takes: the decorator, a module, a bundle."""

from __future__ import annotations

from typing import TypedDict

from lawow.device.energy import EnergyLedger
from lawow.device.policy import Policy
from lawow.device.resilience import Resilience

__all__ = ["ElasticOptions"]


class ElasticOptions(TypedDict, total=False):
    """Keywords of `lawow.device.elastic.ElasticFunction`, which says what they mean."""

    policy: Policy | None
    idempotent: bool | None
    deadline_seconds: float | None
    resilience: Resilience | None
    ledger: EnergyLedger | None
