"""Figures 3 to 6 and Tables 2 and 3 of the second paper: object detection here and offloaded, in turns.

An emulated robot takes recorded pictures one after the other; three rounds of local and offloaded detection
over an emulated 5G link, then one over a LAN. Response times, processor load and bytes are *emulated*: of a
process that gets a part of this machine. Power is *modelled* by the device's profile, temperature by one
thermal mass.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median

from lawow.device.emulation.link import LinkShape
from lawow.device.emulation.proxy import ShapingProxy
from lawow.device.emulation.slow import SlowProcess
from lawow.device.energy import EnergyLedger, EnergyTotal, PowerModel
from lawow.device.policy import Place
from lawow.device.profiles import load_device, load_network
from lawow.figures.paper import DEVICES
from lawow.figures.processes import Talk, talking_process

__all__ = ["PLACES", "ROBOTS", "DeviceRun", "Phase", "Sample", "Warmth", "measure_dynamic", "slowdown_of"]

PLACES = ("local", "5g", "lan")
ROUNDS = 3
PASSES = 18
"""Our model costs 0.2 GFLOP a picture, YOLOv4 about 60: a picture is examined so often in both places,
that computing outweighs the network as it did there.
"""
SAMPLE_SECONDS = 0.25
SURROUNDINGS_CELSIUS = 25.0


@dataclass(frozen=True, slots=True)
class Warmth:
    """How warm a watt makes a device, and how slowly.

    A Pi without a heat sink comes near the 80 degrees at which the paper saw it throttled, a Nano with
    one stays cool.
    """

    kelvin_per_watt: float
    seconds: float


ROBOTS = {"pi3b": Warmth(11.0, 60.0), "jetson-nano": Warmth(3.5, 120.0)}


def slowdown_of(device: str) -> float:
    """Return how many times slower than this machine a device is emulated, by its profile; at least 1."""
    return max(load_device(device).slowdown_of("object-detection").value, 1.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """The device at one time: seconds since the start, load from 0 to 1, degrees, watts, bytes per second."""

    at: float
    load: float
    celsius: float
    watts: float
    sent_per_second: float
    received_per_second: float


@dataclass(slots=True)
class Phase:
    """One stretch of time in one place: the responses' seconds, and how the offload began, if it was one."""

    place: str
    begins: float
    ends: float = 0.0
    responses: list[float] = field(default_factory=list)
    offload_seconds: float | None = None
    brought_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceRun:
    """All that was seen of one device."""

    device: str
    phases: tuple[Phase, ...]
    samples: tuple[Sample, ...]

    def responses(self, place: str) -> list[float]:
        """Return the seconds of all responses in a place, in order."""
        return [seconds for phase in self.phases if phase.place == place for seconds in phase.responses]

    def response_ms(self, place: str) -> float:
        """Return the median response in milliseconds."""
        return median(self.responses(place)) * 1e3

    def ledger(self, place: str) -> EnergyTotal:
        """Return what the responses in a place drew from the device, by its power model."""
        kind = Place.LOCAL if place == "local" else Place.REMOTE
        model, ledger = PowerModel.of_device(load_device(self.device), place), EnergyLedger()
        for seconds in self.responses(place):
            ledger.add(model.sample("detect", kind, seconds))
        return next(ledger.totals())

    def mwh_per_frame(self, place: str) -> float:
        """Return the modelled energy of the device for one response, in mWh."""
        return self.ledger(place).mwh_per_call

    def choice(self, objective: Callable[[str], float]) -> str:
        """Return the place that is best by an objective, the least of which is best."""
        return min(PLACES, key=objective)

    def document(self) -> dict[str, object]:
        """Return it for JSON, with the paper's numbers and where each of ours comes from."""
        paper = DEVICES[self.device]
        places = {
            place: {
                "frames": len(self.responses(place)),
                "response_ms": {"value": self.response_ms(place), "provenance": "emulated"},
                "mwh_per_frame": {
                    "value": self.mwh_per_frame(place),
                    "provenance": self.ledger(place).provenance.value,
                },
                "paper": {"response_ms": paper.response_ms[place], "mwh": paper.mwh_per_frame[place]},
            }
            for place in PLACES
        }
        return {
            "device": self.device,
            "slowdown": {"value": slowdown_of(self.device), "provenance": "emulated"},
            "warmth": {**asdict(ROBOTS[self.device]), "provenance": "modelled"},
            "places": places,
            "best_by_time": self.choice(self.response_ms),
            "best_by_energy": self.choice(self.mwh_per_frame),
            "phases": [asdict(phase) for phase in self.phases],
            "samples": [asdict(sample) for sample in self.samples],
        }


def measure_dynamic(device: str, *, seconds: float, say: Callable[[str], None]) -> DeviceRun:
    """Run one device: `seconds` of waiting, and of each phase."""
    token = secrets.token_hex(16)
    with ExitStack() as stack:
        edge = stack.enter_context(talking_process("-m", "lawow.figures.detection", token, str(PASSES)))
        port = int(str(edge.read()["port"]))
        links = {
            name: stack.enter_context(ShapingProxy("127.0.0.1", port, _shape(name))) for name in ("5g", "lan")
        }
        robot = stack.enter_context(talking_process("-m", "lawow.figures.dynamic_program", str(PASSES)))
        robot.read()
        slow = stack.enter_context(SlowProcess(robot.pid, slowdown_of(device)))
        watch = _Watch(device, slow, tuple(links.values()))
        with watch.running():
            phases = [
                _phase(robot, place, seconds, links.get(place), token, watch, say)
                for place in ("idle", *("local", "5g") * ROUNDS, "lan")
            ]
    return DeviceRun(device, tuple(phases), tuple(watch.samples))


def _shape(network: str) -> LinkShape:
    return LinkShape.of_network(load_network(network).at(0))


def _phase(
    robot: Talk,
    place: str,
    seconds: float,
    link: ShapingProxy | None,
    token: str,
    watch: _Watch,
    say: Callable[[str], None],
) -> Phase:
    say(f"{DEVICES[watch.device].title}: {seconds:g} s {place}")
    phase = Phase(place, watch.now())
    watch.place = place
    asked: dict[str, object] = {"place": place, "seconds": seconds}
    if link is not None:
        asked = {"place": "remote", "seconds": seconds, "port": link.port, "token": token}
    answer = robot.ask(asked)
    while "done" not in answer:
        if "offload_seconds" in answer:
            phase.offload_seconds = float(str(answer["offload_seconds"]))
            phase.brought_bytes = int(str(answer["brought_bytes"]))
        else:
            phase.responses.append(float(str(answer["response_seconds"])))
        answer = robot.read()
    phase.ends = watch.now()
    return phase


class _Watch:
    """Looks at a device again and again, in a thread of its own."""

    def __init__(self, device: str, slow: SlowProcess, links: Sequence[ShapingProxy]) -> None:
        self.device = device
        self.place = "idle"
        self.samples: list[Sample] = []
        self._slow = slow
        self._links = links
        self._started = time.monotonic()
        self._ends = threading.Event()
        self._celsius = self._settled(load_device(device).idle_watts.value)

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch during the block."""
        thread = threading.Thread(target=self._run, name="lawow-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()

    def _run(self) -> None:
        before = (self.now(), self._slow.processor_seconds, *self._carried())
        while not self._ends.wait(SAMPLE_SECONDS):
            after = (self.now(), self._slow.processor_seconds, *self._carried())
            passed = after[0] - before[0]
            load, sent, received = (
                (new - old) / passed for new, old in zip(after[1:], before[1:], strict=True)
            )
            self.samples.append(self._sample(after[0], passed, min(load, 1.0), sent, received))
            before = after

    def _carried(self) -> tuple[int, int]:
        return sum(link.sent_bytes for link in self._links), sum(link.received_bytes for link in self._links)

    def _sample(self, at: float, passed: float, load: float, sent: float, received: float) -> Sample:
        watts = self._watts()
        part = min(passed / ROBOTS[self.device].seconds, 1.0)
        self._celsius += part * (self._settled(watts) - self._celsius)
        return Sample(at, load, self._celsius, watts, sent, received)

    def _watts(self) -> float:
        """Return what the profile says of a device that does what it does now."""
        device = load_device(self.device)
        if self.place == "idle":
            return device.idle_watts.value
        kind = Place.LOCAL if self.place == "local" else Place.REMOTE
        return PowerModel.of_device(device, self.place).watts(kind)

    def _settled(self, watts: float) -> float:
        return SURROUNDINGS_CELSIUS + watts * ROBOTS[self.device].kelvin_per_watt
