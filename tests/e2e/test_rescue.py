"""The second paper's application on a real edge for 20 seconds: its invariants hold, and its map is seen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT
from tests.server.chromium import Tab, running_browser

ITEMS = 24
IMAGE = "document.querySelector('#views img')"
COLOURS = ((0xC4, 0x4E, 0x52), (0xDD, 0x84, 0x52), (0x4C, 0x72, 0xB0))  # barrels, crates, survivors
COUNT = """(() => {
    const image = IMAGE, canvas = document.createElement("canvas");
    if (!image || !image.naturalWidth) return null;
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data, found = {};
    for (let at = 0; at < data.length; at += 4) {
        const colour = [data[at], data[at + 1], data[at + 2]].join();
        found[colour] = (found[colour] || 0) + 1;
    }
    return found;
})()""".replace("IMAGE", IMAGE)
"""How many pixels of the view have which colour."""


def test_robots_complete_the_map_lose_no_message_and_offload_when_the_battery_is_low(tmp_path: Path) -> None:
    """The edge is `lawow serve` over TLS; map, topic and detection run in its tenant's worker."""
    with running_rescue() as (program, url, token), watching(tmp_path / "profile", url, token) as tab:
        tab.until(f"{IMAGE} !== null && {IMAGE}.naturalWidth === 240", seconds=30)
        early = pixels_of_items(tab)
        assert program.stdout is not None
        output = program.stdout.readline()
        late = pixels_of_items(tab)
        assert [item for item in tab.complaints() if "ERR_" not in json.dumps(item)] == []
        assert program.wait(60) == 0, output
    result = json.loads(output)
    assert set(result["invariants"].values()) == {True}
    assert result["items_found"] == result["items"] == ITEMS
    assert result["maps"] > 10
    assert all(0 < step < 8 for step in result["offloaded_at_step"])
    assert sum(early) < sum(late) <= ITEMS * 49  # each is a square of 7 by 7 pixels
    assert all(late)


@contextmanager
def running_rescue() -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run the program; yields it, the dashboard's URL, and a token."""
    command = [sys.executable, "-m", "examples.rescue", "--seconds", "20"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stderr is not None
            line = re.fullmatch(
                r"dashboard (https://127.0.0.1:\d+/)  token (\S+)\n", program.stderr.readline()
            )
            assert line is not None
            yield program, line[1], line[2]
        finally:
            program.kill()


@contextmanager
def watching(profile: Path, url: str, token: str) -> Iterator[Tab]:
    """Look at the dashboard of an edge with a certificate that no browser knows."""
    with running_browser(profile, "--ignore-certificate-errors") as browser:
        tab = browser.open(url)
        tab.type(token)
        yield tab


def pixels_of_items(tab: Tab) -> list[int]:
    """Return how many pixels of the map belong to items of each kind."""
    found = tab.value(COUNT)
    assert isinstance(found, dict)
    return [int(found.get(",".join(map(str, colour)), 0)) for colour in COLOURS]
