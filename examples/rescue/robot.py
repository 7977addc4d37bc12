"""One robot: Navigation stays, Object Detection leaves when the battery is low, the Map Server is shared."""

from __future__ import annotations

import hashlib
import threading
import time
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

from lawow.channel.documents import Value
from lawow.channel.payloads import Kind
from lawow.device.data_session import DataSession
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.elastic_module import ElasticModule, first_offer
from lawow.device.energy import EnergyLedger, PowerModel
from lawow.device.notifier import Absent, Event, Metric, Notifier, Provenance, Reading, Triggered, below
from lawow.device.offload_handler import Offloaded, OffloadHandler
from lawow.device.policy import Place
from lawow.device.profiles import load_device
from lawow.errors import LimitExceeded
from lawow.figures.detection import SIGNATURE, Detector, detector_files, read_detections
from lawow.figures.scene import KINDS, VIEW, Site

__all__ = ["Robot"]

MAP_SERVER = Path(__file__).with_name("map_server.wasm")
MAP, MERGED, REPORTS = "map", "merged-map", "report"
NUMBERS = "list<s32>"
MODEL = "hazards"  # as the module loads it
LOW_PERCENT = 50.0
"""Of the battery, below which detection is offloaded."""
SECONDS = 30.0
"""For which a message, or another robot, may keep one waiting."""
NETWORK = "5g"


class _Battery:
    """A source of the Notifier: what is left of a battery by the energy that a ledger has counted."""

    def __init__(self, ledger: EnergyLedger, capacity_mwh: float) -> None:
        self._ledger = ledger
        self._capacity_mwh = capacity_mwh

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Return the level."""
        drawn = sum(item.mwh for item in self._ledger.totals())
        level = max(0.0, 100 * (1 - drawn / self._capacity_mwh))
        return [Reading(Metric.BATTERY_LEVEL, level, Provenance.MODELLED, seconds, "energy of detection")]


class Robot:
    """A robot over a site. `steps` are the upper left corners of its pictures."""

    def __init__(
        self, site: Site, steps: Sequence[tuple[int, int]], edge: EdgeClient, battery_mwh: float
    ) -> None:
        self.reports = 0
        self.places: list[Place | None] = []
        self.maps: list[list[int]] = []
        self.is_first = False
        self._site = site
        self._steps = steps
        self._edge = edge
        self._handler = OffloadHandler(edge)
        self._power = PowerModel.of_device(load_device("pi3b"), NETWORK)
        self._ledger = EnergyLedger()
        self._wasm, self._model = detector_files()
        self._module = ElasticModule(self._wasm)
        self._notifier = Notifier([_Battery(self._ledger, battery_mwh)])
        self.map = self._join_map()

    def _join_map(self) -> Offloaded:
        """Be redirected to the map server that is there, or else offload it and share it."""
        try:
            joined = self._handler.request(shared=MAP, choice="provider").selected
        except EdgeProblem:
            joined = None
        if joined is not None:
            return joined
        self.is_first = True
        offers = self._handler.request(MAP_SERVER.read_bytes())
        item = self._handler.select(offers, first_offer(offers))
        item.control.share(MAP, item.lease)
        item.control.show(item.lease, "picture")
        return item

    def drive(self, seconds: float, together: threading.Barrier, total: Sequence[Robot]) -> None:
        """Take a picture at each step, `seconds` in all, and report what is in it.

        It begins and ends `together` with all robots of the `total`, so that every map concerns each of them.
        """
        here = Detector(self._wasm, self._model)
        detect = self._elastic(here)
        assert self.map.endpoint is not None  # a lease with an instance has one
        with DataSession.of_endpoint(self.map.endpoint, self.map.token) as session:
            reports = ElasticChannel(REPORTS, NUMBERS, {"edge": session}, "edge")
            merged = ElasticChannel(MERGED, NUMBERS, {"edge": session}, "edge", kind=Kind.TOPIC)
            together.wait(SECONDS)
            started = time.monotonic()
            for number, corner in enumerate(self._steps, start=1):
                self._look(corner, detect, reports)
                self._listen(merged, started + seconds * number / len(self._steps))
            together.wait(seconds + SECONDS)
            self._listen(merged, time.monotonic() + SECONDS, sum(robot.reports for robot in total))
            reports.close()
        self._notifier.close()
        self._module.close()
        here.close()

    def _elastic(self, here: Detector) -> ElasticFunction:
        """Return detection as one function, which runs on board until the battery is low."""
        low = below(Metric.BATTERY_LEVEL, LOW_PERCENT)
        self._notifier.subscribe(low, self._offload)
        return ElasticFunction(
            self._module,
            "detect",
            signature=SIGNATURE.text,
            native=lambda image, width, height: here.find(image.tobytes()),
            policy=Triggered(self._notifier, low),
            idempotent=True,  # it imports inference, and looking twice at a picture does no harm
        )

    def _offload(self, event: Event) -> None:
        """Bring the model, where it is lacking, and the module."""
        if event.is_active:
            self._bring_model()
            self._module.offload(self._handler)

    def _bring_model(self) -> None:
        digest = hashlib.sha256(self._model).hexdigest()
        while self._edge.models().get(MODEL) != digest:
            try:
                self._edge.upload_model(MODEL, self._model)
            except EdgeProblem as error:
                if error.code != "busy":
                    raise
                time.sleep(0.1)  # other robots bring it at this moment

    def _look(self, corner: tuple[int, int], detect: ElasticFunction, reports: ElasticChannel) -> None:
        x, y = corner
        begun = time.perf_counter()
        found = detect(array("b", self._site.view(x, y)), *VIEW)
        assert isinstance(found, Sequence)
        place = detect.last_place or Place.LOCAL
        self.places.append(place)
        self._ledger.add(self._power.sample("detect", place, time.perf_counter() - begun))
        for item in read_detections(found):
            self._report(reports, [KINDS.index(item.kind) + 1, x + item.x, y + item.y])
        self._report(reports, [0, x * 2 // VIEW[0], y * 2 // VIEW[1]])
        self._notifier.sample()

    def _report(self, channel: ElasticChannel, numbers: Value) -> None:
        channel.send(numbers, timeout_seconds=SECONDS)
        self.reports += 1

    def _listen(self, channel: ElasticChannel, until: float, reports: int | None = None) -> None:
        """Take the merged maps that come, until a time, or until one holds so many reports."""
        while (left := until - time.monotonic()) > 0:
            if reports is not None and self.maps and self.maps[-1][1] == reports:
                return
            try:
                message = channel.receive(timeout_seconds=left)
            except LimitExceeded:
                return
            assert isinstance(message, Sequence)
            self.maps.append([int(item) for item in message])

    def merged(self) -> list[int]:
        """Return the map server's numbers: maps, reports, places, and kind, x, y of each item."""
        (numbers,) = self.map.call("merged", ">[i", []).results
        assert isinstance(numbers, Sequence)
        return [int(item) for item in numbers]
