"""F3: somebody else holds the database: reads and calls go on, and writes wait for it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import lawow
from tests.edge.builders import all_sorts, numbered
from tests.server.running import JSON, Reply, running_edge, until

SORTS = all_sorts()


@pytest.mark.promise("F3")
def test_while_the_database_is_locked_calls_go_on_and_uploads_wait(tmp_path: Path) -> None:
    """As an operator's backup may lock it; uploads are answered when they are on the disk, and not before."""
    late, part, uploads = numbered(8000), numbered(8001), list[Reply]()
    with running_edge(tmp_path / "data") as edge:
        assert edge.put("acme", SORTS.wasm, SORTS.digest).status == 201
        assert edge.call("acme", SORTS.digest, "fib", 10).status == 200
        asked = json.dumps({"module": f"sha256:{part.digest}", "choice": "provider"}).encode()
        lease = edge.ask("POST", "/v1/offload-requests", "acme", asked, JSON).json["lease"]
        path = f"/v1/leases/{lease['lease']}/module"  # type: ignore[index]
        headers = {"Content-Type": "application/partial-upload", "Upload-Offset": "0"}
        assert edge.ask("PATCH", path, "acme", part.wasm[:10], headers).status == 204
        headers["Upload-Offset"] = "10"
        other = sqlite3.connect(edge.data / "edge.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        threads = [
            threading.Thread(target=lambda: uploads.append(edge.put("acme", late.wasm, late.digest))),
            threading.Thread(
                target=lambda: uploads.append(edge.ask("PATCH", path, "acme", part.wasm[10:20], headers))
            ),
        ]
        for thread in threads:
            thread.start()
        end, calls = time.monotonic() + 1.5, 0
        while time.monotonic() < end:
            assert edge.call("acme", SORTS.digest, "fib", 10).json["results"] == [55]
            calls += 1
        assert not uploads
        assert calls > 10
        other.execute("ROLLBACK")
        other.close()
        for thread in threads:
            thread.join()
        assert sorted(reply.status for reply in uploads) == [201, 204]
        until(lambda: edge.call("acme", late.digest, "number").status == 200)


@pytest.mark.promise("F3")
def test_a_host_that_nobody_knows_is_one_sentence(tmp_path: Path) -> None:
    done = lawow("serve", "--data", tmp_path / "data", "--host", "nowhere.invalid", check=False)
    assert done.returncode == 2
    assert "nowhere.invalid" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
