"""The options that every way to make an elastic function takes: the decorator, a module, a bundle."""

from __future__ import annotations

from typing import TypedDict

from lawow.device.energy import EnergyLedger
from lawow.device.notifier import Informed, Notifier
from lawow.device.policy import Adaptive, Automatic, Policy
from lawow.device.resilience import Resilience

__all__ = ["ElasticOptions", "informed"]


class ElasticOptions(TypedDict, total=False):
    """Keywords of `lawow.device.elastic.ElasticFunction`, which says what they mean."""

    policy: Policy | None
    idempotent: bool | None
    deadline_seconds: float | None
    resilience: Resilience | None
    ledger: EnergyLedger | None
    notifier: Notifier | None


def informed(policy: Policy | None, notifier: Notifier | None) -> Policy:
    """Return the policy of a function: the default if there is none, told by the Notifier if there is one."""
    if notifier is None:
        return Automatic() if policy is None else policy
    return Informed(Adaptive() if policy is None else policy, notifier)
