"""The three of them as one option of an elastic function, and which functions may have which."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.device.resilience.breaker import Breaker
from lawow.device.resilience.hedge import Hedge
from lawow.device.resilience.shadow import Shadow
from lawow.errors import UsageError

__all__ = ["Resilience"]


@dataclass(frozen=True, slots=True)
class Resilience:
    """What to do about edges that are slow, gone or wrong; None is nothing.

    Functions may share one: a breaker is best shared by all, a hedge learns each function by itself.
    """

    hedge: Hedge | None = None
    breaker: Breaker | None = None
    shadow: Shadow | None = None

    def fitting(self, *, is_idempotent: bool, keeps_state: bool) -> Resilience:
        """Return what of it such a function may have: the breaker alone if it must not run twice."""
        return self if is_idempotent and not keeps_state else Resilience(breaker=self.breaker)

    def require_fit(self, export: str, *, is_idempotent: bool, keeps_state: bool) -> None:
        """Raise `UsageError` if calls of the function would be made twice that must not be."""
        if self.hedge is None and self.shadow is None:
            return
        if keeps_state:
            raise UsageError(
                f"{export}: its module keeps state, which is in one place at a time, so no call of it "
                "can run in both; use the breaker alone"
            )
        if not is_idempotent:
            raise UsageError(
                f"{export}: it is not declared idempotent, and hedging and shadow mode run calls twice; "
                "declare idempotent=True if that does no harm, or use the breaker alone"
            )
