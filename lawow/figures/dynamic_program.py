"""The program of an emulated robot: Navigation and Object Detection, for `lawow.figures.dynamic`.

A line ``{"place": "idle" or "local", "seconds": ...}`` or ``{"place": "remote", "port": ..., "token": ...}``
lets it take pictures one after the other for that time; each response is a line, and a line with ``done``
ends them. The argument is how often each picture is examined.
"""

from __future__ import annotations

import json
import sys
import time

from lawow.device.emulation.slow import end_with_parent
from lawow.figures.detection import Detector, detector_files
from lawow.figures.offloaded_detection import OffloadedDetector
from lawow.figures.scene import VIEW, make_site

__all__ = ["main"]

PATH = 40
"""Pictures of the recorded drive, then it begins anew."""


def main() -> None:
    """Answer lines until there are no more."""
    end_with_parent()
    site = make_site(960, 720, 30, seed=5)
    pictures = [
        site.view((960 - VIEW[0]) * step // PATH, (720 - VIEW[1]) * (step * 3 % PATH) // PATH)
        for step in range(PATH)
    ]
    files = detector_files()
    detector = Detector(*files, int(sys.argv[1]))
    _say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["place"] == "remote":
            with OffloadedDetector(asked["port"], asked["token"], *files) as there:
                _say({"offload_seconds": there.offload_seconds, "brought_bytes": there.brought_bytes})
                _drive(there, pictures, asked["seconds"])
        elif asked["place"] == "local":
            _drive(detector, pictures, asked["seconds"])
        else:
            time.sleep(asked["seconds"])
        _say({"done": True})


def _drive(detector: Detector | OffloadedDetector, pictures: list[bytes], seconds: float) -> None:
    """Detect in picture after picture, at least in one."""
    ends, step = time.monotonic() + seconds, 0
    while step == 0 or time.monotonic() < ends:
        started = time.perf_counter()
        found = detector.find(pictures[step % len(pictures)])
        passed = time.perf_counter() - started
        _say({"picture": step % len(pictures), "response_seconds": passed, "items": found})
        step += 1


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
