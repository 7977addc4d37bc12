"""What an elastic function does about edges that are slow, gone or wrong. All of it is off by default.

`Hedge` starts a call here as well when the edge is slower than it used to be, `Breaker` spares calls the way
to an edge that is gone, `Shadow` runs some calls in both places and compares. docs/device.md tells more.
"""

from __future__ import annotations

from lawow.device.resilience.breaker import Breaker
from lawow.device.resilience.hedge import Hedge
from lawow.device.resilience.options import Resilience
from lawow.device.resilience.shadow import Mismatch, Shadow

__all__ = ["Breaker", "Hedge", "Mismatch", "Resilience", "Shadow"]
