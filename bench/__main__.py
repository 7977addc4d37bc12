"""``python -m bench [--rounds N] [--json] [--only SECTION]``: print machine, commit and ratios.

Takes about a quarter of an hour, and some more with apktool installed, against which `refactor` is measured.
What is started is the wheel of this tree, installed into build/bench/env.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    android,
    calls,
    channel,
    crowd,
    dalvik,
    decisions,
    edge,
    growth,
    hostile,
    kernels,
    loads,
    notifier,
    peers,
    programs,
    refactor,
    starts,
    state,
)
from bench.table import Table
from lawow import __version__

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
SECTIONS: dict[str, Callable[[Path, int], tuple[Table, ...]]] = {
    "starts": starts.measure,
    "programs": programs.measure,
    "kernels": kernels.measure,
    "dalvik": dalvik.measure,
    "calls": calls.measure,
    "channel": channel.measure,
    "peers": peers.measure,
    "crowd": crowd.measure,
    "decisions": decisions.measure,
    "loads": loads.measure,
    "state": state.measure,
    "notifier": notifier.measure,
    "edge": edge.measure,
    "refactor": refactor.measure,
    "growth": growth.measure,
    "hostile": hostile.measure,
    "android-sizes": android.measure_sizes,
    "android-calls": android.measure_calls,
    "android-engines": android.measure_engines,
}


def main() -> None:
    """Run all benchmarks and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default: 15)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", choices=sorted(SECTIONS), action="append", help="run only this section")
    options = parser.parse_args()
    started = time.monotonic()
    facts = machine()
    if not options.json:
        print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="lawow-bench-") as folder:
        for section in options.only or SECTIONS:
            place = Path(folder) / section
            place.mkdir()
            for table in SECTIONS[section](place, options.rounds):
                tables.append(table)
                if not options.json:
                    print(f"\n{table.to_text()}", flush=True)
    if options.json:
        print(json.dumps({**facts, "tables": [table.to_document() for table in tables]}))
    else:
        print(f"\n{time.monotonic() - started:.0f} s in all")


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "lawow": f"{__version__}, commit {commit()}",
        "python": platform.python_version(),
        "processor": f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start",
        "system": f"{platform.system()} {platform.release()}",
    }


def commit() -> str:
    """Return the commit of the checkout, with a plus sign if files of the package differ from it."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
