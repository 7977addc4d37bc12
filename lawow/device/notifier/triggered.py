"""A policy of elastic functions that asks a trigger: calls run on the edge while it is active, else here."""

from __future__ import annotations

from lawow.device.notifier.notifier import Notifier
from lawow.device.notifier.triggers import Trigger
from lawow.device.policy import ElasticCall, Place

__all__ = ["Triggered"]


class Triggered:
    """Takes the edge while a trigger is active."""

    def __init__(self, notifier: Notifier, trigger: Trigger) -> None:
        self._subscription = notifier.subscribe(trigger, lambda event: None)

    def decide(self, call: ElasticCall) -> Place:
        """Return `Place.REMOTE` while the trigger is active, as of the newest sample."""
        return Place.REMOTE if self._subscription.is_active else Place.LOCAL

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Nothing depends on it."""
