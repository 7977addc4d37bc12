"""Draw docs/figure-lawow.png and docs/figure-dynamic.png: the reports of both benches in a browser.

usage: python docs/figures_pictures.py docs [build/figures]     after `lawow bench lawow` and `... dynamic`
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.server.chromium import running_browser  # noqa: E402

SIZES = {"lawow": (1000, 1010), "dynamic": (1000, 1330)}


def main(target: str, reports: str = "build/figures") -> None:
    """Open each report and keep what is seen first."""
    with (
        tempfile.TemporaryDirectory() as work,
        running_browser(Path(work) / "profile") as browser,
    ):
        for name, size in SIZES.items():
            tab = browser.open((Path(reports) / name / "report.html").resolve().as_uri())
            tab.size(*size)
            time.sleep(1)
            (Path(target) / f"figure-{name}.png").write_bytes(tab.screenshot())


if __name__ == "__main__":
    main(*sys.argv[1:])
