"""The second paper's application, without a screen, for 20 seconds: its invariants hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request

from tests.conftest import ROOT

ITEMS = 24


def test_robots_complete_the_map_lose_no_message_and_offload_when_the_battery_is_low() -> None:
    command = [sys.executable, "-m", "examples.rescue", "--seconds", "20"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        url = re.search(r"http://127.0.0.1:\d+/", program.stderr.readline())
        assert url is not None
        seen = items_on_page(url[0])
        output, errors = program.communicate(timeout=120)
    assert program.returncode == 0, output + errors
    result = json.loads(output)
    assert set(result["invariants"].values()) == {True}
    assert result["items_found"] == result["items"] == ITEMS
    assert result["maps_published"] > 10
    assert all(0 < step < 8 for step in result["offloaded_at_step"])
    assert 0 < seen <= ITEMS


def items_on_page(url: str) -> int:
    """Return how many items the page of the map shows when it first shows some."""
    for _ in range(100):
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = answer.read().decode().count("<circle")
        if found:
            return int(found)
        time.sleep(0.2)
    return 0
