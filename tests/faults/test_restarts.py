"""F8, F11, F12: restarts with clients on the line, a machine without descriptors, other versions."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import MODULES, Database
from lawow.edge.tenants import Tenants
from tests.edge.builders import all_sorts
from tests.load.traffic import Answer, Wire, quantile, sized
from tests.server.running import RunningEdge, issue_token, running_edge, until

SORTS = all_sorts()
ON_PORT = """
import json, sys
from pathlib import Path
from dataclasses import replace
from lawow.limits import EDGE
from lawow.server.app import Edge, serve
from lawow.server.listener import open_listener, url_of
from lawow.server.log import EventLog
data, port = sys.argv[1:]
limits = replace(EDGE, connections=3000, connections_per_address=3000, connections_per_tenant=3000)
listener = open_listener("127.0.0.1", int(port))
line = json.dumps({"url": url_of("127.0.0.1", listener, has_tls=False)})
serve(Edge(Path(data), EventLog(), limits), listener, None, lambda: print(line, flush=True))
"""
"""An edge that a test starts again on the same port."""


@pytest.mark.promise("F8")
def test_clients_of_an_edge_that_starts_again_are_all_served_again(tmp_path: Path) -> None:
    """Each keeps a connection and asks now and then; the edge stops, and a new one takes its port."""
    data, clients = tmp_path / "data", sized(100, 1_000)
    answers, losses, back = Counter[int](), Counter[str](), dict[int, float]()
    issue_token(data, "acme")

    async def use(edge: RunningEdge, number: int, is_new: asyncio.Event) -> None:
        wire: Wire | None = None
        while number not in back:
            try:
                wire = wire or await Wire.open(edge)
                answer = await wire.ask("GET", "/v1/modules", edge.token("acme"))
                answers[answer.status] += 1
                if is_new.is_set():
                    back[number] = time.monotonic()
            except (OSError, EOFError) as error:
                if wire is not None:
                    wire.close()
                wire = None
                losses[type(error).__name__] += 1
            await asyncio.sleep(0.2)
        if wire is not None:
            wire.close()

    async def restart(first: RunningEdge) -> tuple[float, list[float]]:
        is_new = asyncio.Event()
        users = [asyncio.create_task(use(first, number, is_new)) for number in range(clients)]
        while sum(answers.values()) < 2 * clients:
            await asyncio.sleep(0.05)
        stopped = time.monotonic()
        assert await asyncio.to_thread(first.stop) == 0
        command = [sys.executable, "-c", ON_PORT, str(data), str(first.address[1])]
        second = running_edge(data, command=command)
        await asyncio.to_thread(second.__enter__)
        is_new.set()
        await asyncio.wait_for(asyncio.gather(*users), 60)
        await asyncio.to_thread(second.__exit__, None, None, None)
        return stopped, list(back.values())

    with running_edge(data, command=[sys.executable, "-c", ON_PORT, str(data), "0"]) as edge:
        edge.token("acme")
        stopped, times = asyncio.run(restart(edge))
    assert set(answers) == {200}
    assert len(times) == clients
    seconds = quantile([when - stopped for when in times], 0.99)
    print(f"F8: {clients} clients, 99 % served again {seconds:.1f} s after SIGTERM; meanwhile {dict(losses)}")


@pytest.mark.promise("F11")
def test_without_descriptors_requests_are_told_to_come_again_and_all_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    """Calls, uploads and the start of a worker on connections that are open, while there is not one left."""
    with running_edge(tmp_path / "data", before=["prlimit", "--nofile=44"]) as edge:
        assert edge.put("acme", SORTS.wasm, SORTS.digest).status == 201
        told = asyncio.run(ask_without_descriptors(edge))
        assert {answer.status for answer in told} <= {200, 429, 503, 507}
        assert any(answer.status != 200 for answer in told)
        until(lambda: is_served(edge))
        assert edge.put("late", SORTS.wasm, SORTS.digest).status == 201
        log = edge.log.read_text()
        assert " defect " not in log
        assert log.count("\n") < 200


def is_served(edge: RunningEdge) -> bool:
    """Return whether a new connection is answered again; while the others go it may be cut, too."""
    try:
        return edge.call("acme", SORTS.digest, "fib", 10).status == 200
    except (ConnectionError, http.client.HTTPException):
        return False


async def ask_without_descriptors(edge: RunningEdge) -> list[Answer]:
    """Take all descriptors with connections, then use one of these."""
    edge.token("late")
    user, held = await Wire.open(edge), list[Wire]()
    assert (await user.ask("GET", "/v1/health")).status == 200
    for _ in range(60):
        held.append(await Wire.open(edge))
    await asyncio.sleep(0.3)
    upload = f"/v1/modules/sha256:{SORTS.digest}"
    told = []
    for _ in range(3):
        told.append(await user.call(edge, "acme", SORTS, "fib", 10))
        told.append(await user.ask("PUT", upload, edge.token("late"), SORTS.wasm, "application/wasm"))
    for wire in (user, *held):
        wire.close()
    return told


@pytest.mark.promise("F12")
def test_a_data_folder_of_the_first_version_is_served_with_all_that_it_has(tmp_path: Path) -> None:
    """Its database as the first version made it: brought up to date, with its tenant."""
    folder = DataFolder(tmp_path / "data")
    with sqlite3.connect(folder.database) as old:
        old.executescript(MODULES)
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO tenants VALUES ('acme', 1)")
        old.execute("INSERT INTO refused_modules VALUES ('acme', 'x', 'y', 'z')")
    old.close()
    database = Database(folder.database)
    token = Tenants(database).issue("acme").token
    assert [record.created_unix for record in Tenants(database).all()] == [1]
    database.close()
    with running_edge(folder.root) as edge:
        edge.tokens["acme"] = token
        assert edge.put("acme", SORTS.wasm, SORTS.digest).status == 201
        assert edge.call("acme", SORTS.digest, "fib", 10).json["results"] == [55]


@pytest.mark.promise("F12")
def test_a_client_of_a_later_version_is_told_what_this_edge_does_not_know(tmp_path: Path) -> None:
    """An unknown field is refused before anything runs, an unknown header is nobody's business."""
    with running_edge(tmp_path / "data") as edge:
        assert edge.put("acme", SORTS.wasm, SORTS.digest).status == 201
        path = f"/v1/modules/sha256:{SORTS.digest}/exports/fib/calls"
        known = {"Content-Type": "application/json"}
        body = {"arguments": [10]}
        later = json.dumps({**body, "priority": 5}).encode()
        refused = edge.ask("POST", path, "acme", later, known)
        assert refused.refused_with(422, "bad-arguments")
        assert "may have" in str(refused.json["detail"])
        headers = {**known, "Lawow-Priority": "5"}
        assert edge.ask("POST", path, "acme", json.dumps(body).encode(), headers).json["results"] == [55]
        assert edge.ask("GET", "/v2/modules", "acme").refused_with(404, "not-found")
