"""One robot: Navigation stays, Object Detection leaves when the battery is low, the Map Server is shared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lawow.channel.payloads import Kind
from lawow.device.data_session import DataSession
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.energy import EnergyLedger, PowerModel
from lawow.device.offload_handler import Offloaded, OffloadHandler
from lawow.device.policy import Place
from lawow.device.profiles import load_device
from lawow.errors import LimitExceeded
from lawow.figures.detection import Detector, detector_files, read_detections
from lawow.figures.offloaded_detection import OffloadedDetector
from lawow.figures.scene import KINDS, VIEW, Site

MAP_SERVER = Path(__file__).with_name("map_server.wasm")
LOW = 0.5
"""Part of the battery below which detection is offloaded."""
NETWORK = "5g"


class Robot:
    """A robot over a site. `steps` are the upper left corners of its pictures."""

    def __init__(self, name: str, site: Site, steps: Sequence[tuple[int, int]], client: EdgeClient) -> None:
        self.name = name
        self.reports = 0
        self.places: list[Place] = []
        self.received: list[int] = []
        self.is_first = False
        self._site = site
        self._steps = steps
        self._handler = OffloadHandler(client)
        self._client = client
        self._model = PowerModel.of_device(load_device("pi3b"), NETWORK)
        self.ledger = EnergyLedger()
        self._map = self._join_map()

    def _join_map(self) -> Offloaded:
        """Be redirected to the map server that is there, or else offload it and share it."""
        try:
            joined = self._handler.request(shared="map", choice="provider").selected
        except EdgeProblem:
            joined = None
        if joined is not None:
            return joined
        self.is_first = True
        offers = self._handler.request(MAP_SERVER.read_bytes())
        item = self._handler.select(offers, offers.offers[0])
        body = f'{{"lease": "{item.lease}", "tenants": []}}'.encode()
        self._client.document("PUT", "/v1/shared-modules/map", body, "application/json")
        return item

    def drive(self, seconds: float, battery_mwh: float, port: int, token: str, topic: DataSession) -> None:
        """Take a picture at each step, `seconds` in all, and report what is in it.

        Detection moves to the host at `port` when less than `LOW` of the battery is left, by modelled energy.
        """
        files, started = detector_files(), time.monotonic()
        local, remote = Detector(*files), None
        with ExitStack() as stack:
            stack.callback(local.close)
            hosts = {"edge": topic}
            channel = stack.enter_context(
                ElasticChannel("merged-map", "list<s32>", hosts, "edge", kind=Kind.TOPIC)
            )
            for number, corner in enumerate(self._steps):
                drawn = sum(item.mwh for item in self.ledger.totals())
                if remote is None and drawn > battery_mwh * (1 - LOW):
                    remote = stack.enter_context(OffloadedDetector(port, token, *files))
                self._look(corner, remote or local, Place.REMOTE if remote else Place.LOCAL)
                self._listen(channel, started + seconds * (number + 1) / len(self._steps))
            self._listen(channel, time.monotonic() + 1.0)

    def _look(self, corner: tuple[int, int], detector: Detector | OffloadedDetector, place: Place) -> None:
        x, y = corner
        begun = time.perf_counter()
        seen = read_detections(detector.find(self._site.view(x, y)))
        self.ledger.add(self._model.sample("detect", place, time.perf_counter() - begun))
        self.places.append(place)
        for item in seen:
            self._report("found", "iii>i", [KINDS.index(item.kind) + 1, x + item.x, y + item.y])
        self._report("see", "ii>i", [x * 2 // VIEW[0], y * 2 // VIEW[1]])

    def _report(self, export: str, signature: str, values: Sequence[int]) -> None:
        self._map.call(export, signature, values)
        self.reports += 1

    def _listen(self, channel: ElasticChannel, until: float) -> None:
        """Take the merged maps that come, until a time."""
        while (left := until - time.monotonic()) > 0:
            try:
                message = channel.receive(timeout_seconds=left)
            except LimitExceeded:
                return
            assert isinstance(message, Sequence)
            self.received.append(int(message[0]))

    def merged(self) -> list[int]:
        """Return the map server's numbers: reports, places, and kind, x, y of each item."""
        (numbers,) = self._map.call("merged", ">[i", []).results
        assert isinstance(numbers, Sequence)
        return [int(item) for item in numbers]
