"""Draw docs/rescue.png: the dashboard of the edge on which `examples.rescue` runs, with its map.

usage: python docs/rescue_picture.py docs/rescue.png     from the repository's root, in .venv
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.e2e.test_rescue import running_rescue, watching

SIZE = (1000, 1000)
SECONDS = 14.0


def main(target: str) -> None:
    """Write the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_rescue() as (_, url, token),
        watching(Path(folder) / "profile", url, token) as tab,
    ):
        tab.size(*SIZE)
        time.sleep(SECONDS)
        Path(target).write_bytes(tab.screenshot())


if __name__ == "__main__":
    main(sys.argv[1])
