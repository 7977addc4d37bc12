"""Run commands in turns and print what the kernel accounts for each: a script of its own, not a module.

usage: python -I -S spawn.py ROUNDS [cold] < commands.json
       [[NAME, {ENVIRONMENT}, FOLDER TO EMPTY BEFORE OR "", [COMMAND, ...]], ...]

A process inherits the peak memory of the one that starts it, so the starter must be small: it imports as
little as Python allows. Prints one line for each run: name, wall seconds, processor seconds, peak resident
KiB.
"""

import json
import os
import sys
import time


def run(command: list[str], environment: dict[str, str], null: int) -> tuple[float, float, int, int]:
    """Run one command to its end; return wall seconds, processor seconds, peak KiB and the exit status."""
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
    started = time.perf_counter()
    child = os.posix_spawn(command[0], command, environment, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, status


def empty(folder: str) -> None:
    """Remove all that a command has left in a folder."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(root, name))
        for name in folders:
            os.rmdir(os.path.join(root, name))


def main() -> None:
    """Run everything once to warm up (not if it is to be cold), then `ROUNDS` times in turns."""
    commands = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDWR)
    for turn in range(0 if "cold" in sys.argv else -1, int(sys.argv[1])):
        for name, changes, folder, command in commands:
            if folder:
                empty(folder)
            wall, cpu, peak, status = run(command, {**os.environ, **changes}, null)
            if status:
                sys.exit(f"{name}: status {status}")
            if turn >= 0:
                print(f"{name}\t{wall:.9f}\t{cpu:.9f}\t{peak}")


main()
