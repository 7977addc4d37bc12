"""The second paper's application on a real edge, without a screen, for 20 seconds: its invariants hold."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT

ITEMS = 24


def test_robots_complete_the_map_lose_no_message_and_offload_when_the_battery_is_low() -> None:
    """The edge is `lawow serve` over TLS; map, topic and detection run in its tenant's worker."""
    command = [sys.executable, "-m", "examples.rescue", "--seconds", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.startswith("dashboard https://127.0.0.1:")
    result = json.loads(done.stdout)
    assert set(result["invariants"].values()) == {True}
    assert result["items_found"] == result["items"] == ITEMS
    assert result["maps"] > 10
    assert all(0 < step < 8 for step in result["offloaded_at_step"])
