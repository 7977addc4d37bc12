"""Search and rescue, as in the second paper: robots explore a site and offload what is heavy or shared.

    python -m examples.rescue [--robots 3] [--seconds 20]       from the repository's root

Starts an edge, ``lawow serve`` over TLS on loopback, as a process of its own; prints where its dashboard is,
which shows the map, and a token for it. Ends with one line of JSON; its exit status tells whether the
invariants held: every item is on the map, every report arrived, every robot got every map, and the battery
made each robot offload.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from examples.rescue.robot import Robot
from lawow.device.edge_client import EdgeClient
from lawow.device.policy import Place
from lawow.errors import LawowError
from lawow.figures.processes import EdgeProcess, running_edge
from lawow.figures.scene import KINDS, VIEW, Site, make_site

SIZE = (960, 720)
ITEMS = 24
SEED = 4
NEAR = 12
BATTERY_MWH = 0.01
"""What is left of a battery: detection on board draws half of it in 4 ms, so within a few pictures."""
HEAD = 3
"""Numbers of a map before its items: maps so far, reports, places."""


def corners(robots: int) -> list[list[tuple[int, int]]]:
    """Return the pictures of each robot: a strip of the site, each place seen in two."""
    xs = range(0, SIZE[0] - VIEW[0] + 1, VIEW[0] // 2)
    ys = range(0, SIZE[1] - VIEW[1] + 1, VIEW[1] // 2)
    steps = [(x, y) for y in ys for x in xs]
    return [steps[number::robots] for number in range(robots)]


def complete(numbers: Sequence[int], site: Site) -> tuple[int, int]:
    """Return how many items of the site are on the map, and how many are there that the site has not."""
    marks = [
        (KINDS[numbers[at] - 1], numbers[at + 1], numbers[at + 2]) for at in range(HEAD, len(numbers), 3)
    ]
    items = [(item.kind, item.x, item.y) for item in site.items]

    def is_near(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
        return one[0] == other[0] and max(abs(one[1] - other[1]), abs(one[2] - other[2])) <= NEAR

    found = sum(any(is_near(item, mark) for mark in marks) for item in items)
    return found, sum(not any(is_near(mark, item) for item in items) for mark in marks)


def run(robots: int, seconds: float) -> dict[str, object]:
    """Run all; return what came of it."""
    site = make_site(*SIZE, ITEMS, SEED)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lawow-rescue-")))
        edge = stack.enter_context(
            running_edge(folder / "data", tls=folder / "tls", grants=("channel", "nn"))
        )
        print(f"dashboard {edge.url}/  token {edge.token}", file=sys.stderr, flush=True)
        fleet = [
            Robot(site, steps, stack.enter_context(client_of(edge)), BATTERY_MWH)
            for steps in corners(robots)  # they arrive one after the other
        ]
        drive(fleet, seconds)
        return summary(fleet, fleet[0].merged(), site)


def client_of(edge: EdgeProcess) -> EdgeClient:
    """Return a client of a robot's own."""
    return EdgeClient(edge.url, edge.token, certificate_sha256=edge.pin)


def drive(fleet: Sequence[Robot], seconds: float) -> None:
    """Let all robots drive at once. Raises what any of them raises."""
    together, errors = threading.Barrier(len(fleet)), list[LawowError]()

    def drive_one(robot: Robot) -> None:
        try:
            robot.drive(seconds, together, fleet)
        except LawowError as error:
            errors.append(error)
            together.abort()
        except threading.BrokenBarrierError:
            return  # another robot has failed

    threads = [threading.Thread(target=drive_one, args=(robot,)) for robot in fleet]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def step_of_offload(robot: Robot) -> int | None:
    """Return from which picture on detection ran on the edge, or None if it did not, or came back."""
    step = robot.places.index(Place.REMOTE) if Place.REMOTE in robot.places else len(robot.places)
    return step if set(robot.places[step:]) == {Place.REMOTE} else None


def summary(fleet: Sequence[Robot], numbers: Sequence[int], site: Site) -> dict[str, object]:
    """Return the figures, and whether the invariants hold."""
    found, false = complete(numbers, site)
    maps, received = numbers[0], numbers[1]
    sent = sum(robot.reports for robot in fleet)
    offloaded = [step_of_offload(robot) for robot in fleet]
    holds = {
        "map_is_complete": found == len(site.items),
        "no_report_was_lost": received == sent,
        "every_robot_got_every_map": all(
            [item[0] for item in robot.maps] == list(range(1, maps + 1)) and robot.maps[-1] == list(numbers)
            for robot in fleet
        ),
        "the_battery_offloaded_detection": all(step for step in offloaded),
        "the_first_offloaded_the_map_and_the_others_joined": [robot.is_first for robot in fleet]
        == [True] + [False] * (len(fleet) - 1),
    }
    return {
        "items_found": found,
        "items": len(site.items),
        "false_items": false,
        "reports": received,
        "maps": maps,
        "offloaded_at_step": offloaded,
        "invariants": holds,
    }


def main() -> None:
    """Read the command line, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m examples.rescue")
    parser.add_argument("--robots", type=int, default=3, choices=range(1, 5))
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    result = run(options.robots, options.seconds)
    print(json.dumps(result))
    holds = result["invariants"]
    assert isinstance(holds, dict)
    sys.exit(0 if all(holds.values()) else 1)


if __name__ == "__main__":
    main()
