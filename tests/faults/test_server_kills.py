"""F2: the server is killed under load, again and again; what was acknowledged is there, the rest is gone."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.edge.builders import numbered
from tests.faults.kills import SERVER_KILLS
from tests.server.running import JSON, RunningEdge, issue_token, running_edge

MANY = 1_000_000
LIMITS = {
    "modules_per_tenant": MANY,
    "leases": MANY,
    "leases_per_tenant": MANY,
    "requests_per_tenant": MANY,
    "lease_seconds": MANY,
    "remembered_seconds": MANY,
}


class Clients:
    """Tenants who upload, lease and call until the edge is gone, and remember what it acknowledged."""

    def __init__(self) -> None:
        self.modules: dict[str, int] = {}
        self.leases: set[str] = set()
        self.parts: dict[str, int] = {}
        self.results = 0
        self.statuses: Counter[int] = Counter()
        self._number = 0

    def upload(self, edge: RunningEdge) -> None:
        """Upload one module more."""
        self._number += 1
        module = numbered(self._number)
        if edge.put("uploader", module.wasm, module.digest).status == 201:
            self.modules[module.digest] = self._number

    def lease(self, edge: RunningEdge) -> None:
        """Get a lease, and send half of its module."""
        module = numbered(MANY + len(self.leases))
        asked = json.dumps({"module": f"sha256:{module.digest}", "choice": "provider"}).encode()
        granted = edge.ask("POST", "/v1/offload-requests", "lessee", asked, JSON)
        if granted.status != 201:
            self.statuses[granted.status] += 1
            return
        lease = str(granted.json["lease"]["lease"])  # type: ignore[index]
        self.leases.add(lease)
        half = len(module.wasm) // 2
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": "0",
            "Upload-Complete": "?0",
        }
        sent = edge.ask("PATCH", f"/v1/leases/{lease}/module", "lessee", module.wasm[:half], headers)
        if sent.status == 204:
            self.parts[lease] = half

    def call(self, edge: RunningEdge) -> None:
        """Call the module that was there from the start."""
        reply = edge.call("caller", numbered(0).digest, "number")
        self.statuses[reply.status] += 1
        self.results += reply.json.get("results") == [0]

    def work(self, edge: RunningEdge, is_over: threading.Event) -> list[threading.Thread]:
        """Start all of them; each ends when the edge does not answer any more."""

        def repeat(step: Callable[[RunningEdge], None]) -> None:
            while not is_over.is_set():
                try:
                    step(edge)
                except (OSError, http.client.HTTPException):
                    return

        threads = [
            threading.Thread(target=repeat, args=(step,)) for step in (self.upload, self.lease, self.call)
        ]
        for thread in threads:
            thread.start()
        return threads


@pytest.mark.promise("F2")
def test_kills_of_the_server_at_any_moment_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """LAWOW_KILLS rounds on one data folder: start, load, SIGKILL at a random moment."""
    data, clients, random, recoveries = tmp_path / "data", Clients(), Random(2), []
    for tenant in ("uploader", "lessee", "caller"):
        issue_token(data, tenant)
    for round_ in range(SERVER_KILLS):
        started = time.monotonic()
        with running_edge(data, **LIMITS) as edge:
            recoveries.append(time.monotonic() - started)
            if round_ == 0:
                assert edge.put("caller", numbered(0).wasm, numbered(0).digest).status == 201
            is_over = threading.Event()
            threads = clients.work(edge, is_over)
            time.sleep(0.3 + random.random())
            edge.kill()
            is_over.set()
            for thread in threads:
                thread.join()
    assert set(clients.statuses) <= {200}
    assert len(clients.modules) >= SERVER_KILLS
    assert len(clients.parts) >= SERVER_KILLS
    require_all(data, clients)
    print(
        f"F2: {SERVER_KILLS} kills, {len(clients.modules)} modules, {len(clients.leases)} leases, "
        f"{len(clients.parts)} partial uploads acknowledged, 0 lost; {clients.results} calls answered; start "
        f"{sorted(recoveries)[len(recoveries) // 2]:.2f} s (median), {max(recoveries):.2f} s (worst)"
    )


def require_all(data: Path, clients: Clients) -> None:
    """Start once more and look for everything that was acknowledged, and for left-overs."""
    with running_edge(data, **LIMITS) as edge:
        assert "modules_lost=0" in edge.log.read_text()
        assert edge.log.read_text().count("modules_lost=0") == edge.log.read_text().count(" recovered ")
        listed = edge.ask("GET", "/v1/modules", "uploader").json["modules"]
        assert isinstance(listed, list)
        digests = {str(item["digest"]).removeprefix("sha256:") for item in listed}
        assert clients.modules.keys() <= digests
        for digest in [*clients.modules][-20:]:
            assert edge.call("uploader", digest, "number").json["results"] == [clients.modules[digest]]
        found = edge.ask("GET", "/v1/leases", "lessee").json["leases"]
        assert isinstance(found, list)
        received = {item["lease"]: item["received_bytes"] for item in found}
        assert clients.leases <= received.keys()
        assert {lease: received[lease] for lease in clients.parts} == clients.parts
        assert not list((data / "incoming").iterdir())
        names = {path.name for path in (data / "blobs").glob("*/*")}
        assert names == digests | {numbered(0).digest}
        begun = {path.name for path in (data / "partial").iterdir()}
        assert clients.parts.keys() <= begun <= received.keys()  # some came before the kill, their answer not
