"""``python -m fuzz [--seconds N] [TARGET ...]``: fuzz all parsers, each for N seconds.

As many run at a time as there are cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from fuzz.targets import TARGETS

__all__ = ["main"]


def main() -> None:
    """Run the targets; the status is 1 if one of them found anything."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (default: 60)")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)"
    )
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = list(pool.map(lambda name: _run(name, options.seconds), names))
    sys.exit(1 if any(done) else 0)


def _run(name: str, seconds: float) -> int:
    command = [sys.executable, "-m", "fuzz.run", name, str(seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    shown = done.stdout + done.stderr
    lines = shown.splitlines()
    print("\n".join(lines[-40:] if done.returncode else lines[-6:]), flush=True)
    print(f"{name}: {'FOUND SOMETHING' if done.returncode else 'no escape'} in {seconds:.0f} s", flush=True)
    return done.returncode


if __name__ == "__main__":
    main()
