"""The second paper's application, without a screen, for 20 seconds: its invariants hold."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_robots_complete_the_map_lose_no_message_and_offload_when_the_battery_is_low() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.rescue", "--seconds", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert set(result["invariants"].values()) == {True}
    assert result["items_found"] == result["items"] == 24
    assert result["maps_published"] > 10
    assert all(0 < step < 8 for step in result["offloaded_at_step"])
