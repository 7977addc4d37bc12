"""Search and rescue, as in the second paper: robots explore a site and offload what is heavy or shared.

    python -m examples.rescue [--robots 3] [--seconds 20] [--port 0]       from the repository's root

Starts an edge (``lawow serve``, with the Map Server as a shared module) and a host for Object Detection, both
as processes on loopback. Ends with one line of JSON; its exit status tells whether the invariants held: every
item is on the map, every report arrived, every robot got every merged map, and the battery made each robot
offload.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from examples.rescue.map_page import MapPage, serving
from examples.rescue.robot import Robot
from lawow.device.channel_host import ChannelHost, TopicSender
from lawow.device.data_session import DataSession
from lawow.device.edge_client import EdgeClient
from lawow.device.policy import Place
from lawow.figures.processes import running_edge, talking_process
from lawow.figures.scene import KINDS, VIEW, Site, make_site

SIZE = (960, 720)
ITEMS = 24
SEED = 4
NEAR = 12
BATTERY_MWH = 0.01
"""What is left of a battery: detection on board draws half of it in 4 ms, so within a few pictures."""


def corners(robots: int) -> list[list[tuple[int, int]]]:
    """Return the pictures of each robot: a strip of the site, each place seen in two."""
    xs = range(0, SIZE[0] - VIEW[0] + 1, VIEW[0] // 2)
    ys = range(0, SIZE[1] - VIEW[1] + 1, VIEW[1] // 2)
    steps = [(x, y) for y in ys for x in xs]
    return [steps[number::robots] for number in range(robots)]


def publish(robot: Robot, topic: TopicSender, page: MapPage, ends: threading.Event) -> int:
    """Send the merged map to all robots, again and again; return how often."""
    count = 0
    while not ends.wait(0.25):
        numbers = robot.merged()
        page.show(numbers)
        count += 1
        topic.publish([count, *numbers[2:]], timeout_seconds=10)
    return count


def complete(numbers: list[int], site: Site) -> tuple[int, int]:
    """Return how many items of the site are on the map, and how many are there that the site has not."""
    marks = [(KINDS[numbers[at] - 1], numbers[at + 1], numbers[at + 2]) for at in range(2, len(numbers), 3)]
    items = [(item.kind, item.x, item.y) for item in site.items]

    def is_near(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
        return one[0] == other[0] and max(abs(one[1] - other[1]), abs(one[2] - other[2])) <= NEAR

    found = sum(any(is_near(item, mark) for mark in marks) for item in items)
    return found, sum(not any(is_near(mark, item) for item in items) for mark in marks)


def run(robots: int, seconds: float, port: int) -> dict[str, object]:
    """Run all; return what came of it."""
    site, token = make_site(*SIZE, ITEMS, SEED), secrets.token_hex(16)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lawow-rescue-")))
        edge = stack.enter_context(running_edge(folder / "data"))
        detection = stack.enter_context(talking_process("-m", "lawow.figures.detection", token, "1"))
        detection_port = int(str(detection.read()["port"]))
        host = ChannelHost("edge", token.encode())
        topic, page = host.topic("merged-map", "list<s32>"), MapPage(SIZE)
        print(f"map       {stack.enter_context(serving(page, port))}", file=sys.stderr)
        fleet = []
        for number, steps in enumerate(corners(robots)):  # they arrive one after the other
            client = stack.enter_context(EdgeClient(f"http://{edge.host}:{edge.port}", edge.token))
            fleet.append(Robot(f"robot-{number + 1}", site, steps, client))
        published = drive(fleet, seconds, detection_port, token, host, topic, page)
        numbers = fleet[0].merged()
        page.show(numbers)
    return summary(fleet, numbers, site, published)


def drive(
    fleet: list[Robot],
    seconds: float,
    port: int,
    token: str,
    host: ChannelHost,
    topic: TopicSender,
    page: MapPage,
) -> int:
    """Let all robots drive at once, and return how many merged maps were published meanwhile."""
    ends, counts = threading.Event(), list[int]()
    sessions = [DataSession(host.connect, token.encode()) for _ in fleet]
    threads = [
        threading.Thread(target=robot.drive, args=(seconds, BATTERY_MWH, port, token, session))
        for robot, session in zip(fleet, sessions, strict=True)
    ]
    for thread in threads:
        thread.start()
    while len(topic) < len(fleet) and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    sender = threading.Thread(target=lambda: counts.append(publish(fleet[0], topic, page, ends)))
    sender.start()
    time.sleep(max(seconds - 0.5, 0.5))
    ends.set()
    for thread in (sender, *threads):
        thread.join()
    for session in sessions:
        session.close()
    return counts[0]


def step_of_offload(robot: Robot) -> int | None:
    """Return at which picture detection had moved, or None if it stayed."""
    return robot.places.index(Place.REMOTE) if Place.REMOTE in robot.places else None


def summary(fleet: list[Robot], numbers: list[int], site: Site, published: int) -> dict[str, object]:
    """Return the figures, and whether the invariants hold."""
    found, false = complete(numbers, site)
    sent = sum(robot.reports for robot in fleet)
    whole = all(robot.received == list(range(1, published + 1)) for robot in fleet)
    offloaded = [step_of_offload(robot) for robot in fleet]
    holds = {
        "map_is_complete": found == len(site.items),
        "no_report_was_lost": numbers[0] == sent,
        "every_robot_got_every_map": whole and published > 0,
        "the_battery_offloaded_detection": all(step for step in offloaded),
        "the_first_offloaded_the_map_and_the_others_joined": [robot.is_first for robot in fleet]
        == [True] + [False] * (len(fleet) - 1),
    }
    return {
        "items_found": found,
        "items": len(site.items),
        "false_items": false,
        "reports": sent,
        "maps_published": published,
        "offloaded_at_step": offloaded,
        "invariants": holds,
    }


def main() -> None:
    """Read the command line, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m examples.rescue")
    parser.add_argument("--robots", type=int, default=3, choices=range(1, 5))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=0, help="of the map's page on loopback; 0: any")
    options = parser.parse_args()
    result = run(options.robots, options.seconds, options.port)
    print(json.dumps(result))
    holds = result["invariants"]
    assert isinstance(holds, dict)
    sys.exit(0 if all(holds.values()) else 1)


if __name__ == "__main__":
    main()
