"""How often tests kill: a few times in the tests, ``LAWOW_KILLS=200`` in the long form."""

from __future__ import annotations

import os

__all__ = ["SERVER_KILLS", "WORKER_KILLS"]

SERVER_KILLS = int(os.environ.get("LAWOW_KILLS", "3"))
WORKER_KILLS = 5 * SERVER_KILLS
