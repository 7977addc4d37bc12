"""What breaks: workers, the server, the disk. Acknowledged is kept, half-done is gone."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lawow.edge.policies import SCOPES
from lawow.edge.tenants import TokenTerms
from lawow.formats.bytes import encode_uleb128
from tests.edge.builders import Module, all_sorts, bundle_of, numbered
from tests.server.running import Reply, RunningEdge, issue_token, processor_seconds, running_edge, until

SORTS = all_sorts()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge with short deadlines, on which two tenants have the same module."""
    limits = {
        "deadline_seconds": 3.0,
        "grace_seconds": 0.5,
        "calls_waiting_per_tenant": 3,
        "worker_idle_seconds": 1.0,
        "modules_per_tenant": 3,
        "bytes_per_tenant": 200_000,
    }
    with running_edge(tmp_path_factory.mktemp("quick") / "data", **limits) as running:
        for tenant in ("greedy", "modest"):
            assert running.put(tenant, SORTS.wasm, SORTS.digest).status == 201
        yield running


def in_background(edge: RunningEdge, tenant: str, export: str, count: int = 1, **more: object) -> list[Reply]:
    """Start calls in threads and return the list that their answers will be in."""
    replies: list[Reply] = []

    def call() -> None:
        replies.append(edge.call(tenant, SORTS.digest, export, **more))

    edge.token(tenant)
    for _ in range(count):
        threading.Thread(target=call, daemon=True).start()
    return replies


@pytest.mark.promise("W1")
def test_an_endless_call_ends_at_its_deadline_and_no_other_tenant_waits(quick: RunningEdge) -> None:
    quick.call("modest", SORTS.digest, "fib", 1)
    started = time.monotonic()
    endless = in_background(quick, "greedy", "loop", deadline_seconds=1.0)
    times = []
    while not endless:
        before = time.monotonic()
        assert quick.call("modest", SORTS.digest, "fib", 10).json["results"] == [55]
        times.append(time.monotonic() - before)
    assert endless[0].refused_with(504, "deadline")
    assert 0.9 < time.monotonic() - started < 3
    assert len(times) > 10
    assert sorted(times)[len(times) // 2] < 0.2


@pytest.mark.promise("F1")
def test_a_killed_worker_is_reported_at_once_and_replaced(quick: RunningEdge) -> None:
    quick.call("greedy", SORTS.digest, "nothing")
    worker = quick.workers()["greedy"]
    before = processor_seconds(worker)
    lost = in_background(quick, "greedy", "loop")
    until(lambda: processor_seconds(worker) > before + 0.05)  # only the loop takes so much
    os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: bool(lost))
    assert time.monotonic() - killed < 1
    assert lost[0].refused_with(503, "worker-lost")
    assert quick.call("greedy", SORTS.digest, "fib", 10).json["results"] == [55]
    assert quick.workers()["greedy"] != worker


def test_a_stopped_worker_is_killed_after_deadline_and_grace(quick: RunningEdge) -> None:
    """A worker that does not even answer (here: SIGSTOP) must not hold its tenant for ever."""
    quick.call("greedy", SORTS.digest, "nothing")
    worker = quick.workers()["greedy"]
    os.kill(worker, signal.SIGSTOP)
    started = time.monotonic()
    reply = quick.call("greedy", SORTS.digest, "fib", 1, deadline_seconds=0.2)
    assert reply.refused_with(504, "deadline")
    assert 0.6 < time.monotonic() - started < 2
    until(lambda: not Path(f"/proc/{worker}").exists())


def test_a_dead_idle_worker_is_replaced_without_an_error(quick: RunningEdge) -> None:
    quick.call("greedy", SORTS.digest, "nothing")
    os.kill(quick.workers()["greedy"], signal.SIGKILL)
    time.sleep(0.2)
    assert quick.call("greedy", SORTS.digest, "fib", 10).json["results"] == [55]


def test_an_idle_worker_ends(quick: RunningEdge) -> None:
    quick.call("modest", SORTS.digest, "nothing")
    worker = quick.workers()["modest"]
    until(lambda: "modest" not in quick.workers(), 5)
    until(lambda: not Path(f"/proc/{worker}").exists())


def test_a_full_queue_is_refused_with_a_time_to_come_back(quick: RunningEdge) -> None:
    first = in_background(quick, "greedy", "loop", deadline_seconds=2.0)
    quick.tokens["operator"] = issue_token(quick.data, "operator", TokenTerms(tuple(SCOPES)))
    until(lambda: sample(quick, "lawow_instances") >= 1)
    running = in_background(quick, "greedy", "loop", 3, deadline_seconds=0.4)
    until(lambda: sample(quick, "lawow_waiting") == 3)
    refused = quick.call("greedy", SORTS.digest, "nothing")
    assert refused.refused_with(429, "busy")
    assert int(refused.headers["Retry-After"]) >= 1
    assert quick.call("modest", SORTS.digest, "fib", 3).json["results"] == [2]
    until(lambda: len(first + running) == 4)
    assert [reply.code for reply in first + running] == ["deadline"] * 4


def sample(edge: RunningEdge, name: str) -> float:
    """Return a number of the edge's metrics."""
    text = edge.ask("GET", "/v1/metrics", "operator").body.decode()
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def test_quotas_of_number_and_bytes_are_kept(quick: RunningEdge) -> None:
    many = [numbered(number) for number in range(3000, 3004)]
    replies = [quick.put("hoarder", module.wasm, module.digest) for module in many]
    assert [reply.status for reply in replies] == [201, 201, 201, 413]
    assert "modules_per_tenant" in str(replies[3].json["detail"])
    assert quick.put("hoarder", many[0].wasm, many[0].digest).status == 200
    jar = bundle_of({"a.wasm": many[3]})
    reply = quick.ask("POST", "/v1/bundles", "hoarder", jar, {"Content-Type": "application/zip"})
    assert reply.refused_with(413, "too-large")
    large = quick.put("large", b"\0asm" + bytes(250_000), "0" * 64)
    assert large.refused_with(413, "too-large")


def test_workers_die_with_a_killed_server(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        edge.put("acme", SORTS.wasm, SORTS.digest)
        edge.call("acme", SORTS.digest, "nothing")
        worker = edge.workers()["acme"]

        def call() -> None:
            with pytest.raises(OSError):
                edge.call("acme", SORTS.digest, "loop")

        caller = threading.Thread(target=call, daemon=True)
        caller.start()
        time.sleep(0.2)
        edge.kill()
        until(lambda: not Path(f"/proc/{worker}").exists(), 3)
        caller.join()


def uploads_until_killed(data: Path, numbers: range) -> list[Module]:
    """Upload modules one after the other while the server is killed; return those that were acknowledged."""
    kept: list[Module] = []
    with running_edge(data) as edge:
        edge.token("acme")

        def upload() -> None:
            for number in numbers:
                module = numbered(number)
                try:
                    if edge.put("acme", module.wasm, module.digest).status == 201:
                        kept.append(module)
                except (OSError, http.client.HTTPException):
                    return

        thread = threading.Thread(target=upload)
        thread.start()
        until(lambda: len(kept) >= 3, 20)
        edge.kill()
        thread.join()
    return kept


@pytest.mark.promise("F2")
def test_every_acknowledged_module_survives_a_killed_server(tmp_path: Path) -> None:
    """Uploads run while the server is killed, again and again; what was answered 201 is there afterwards."""
    data, kept = tmp_path / "data", list[Module]()
    issue_token(data, "acme")
    for round_ in range(2):
        kept += uploads_until_killed(data, range(10_000 + 1000 * round_, 11_000 + 1000 * round_))
    (data / "incoming" / "leftover.part").write_bytes(b"half")
    orphan = data / "blobs" / "ab" / ("ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")
    with running_edge(data) as edge:
        listed = edge.ask("GET", "/v1/modules", "acme").json["modules"]
        assert isinstance(listed, list)
        digests = {module["digest"].removeprefix("sha256:") for module in listed}
        assert {module.digest for module in kept} <= digests
        for digest in digests:
            assert edge.call("acme", digest, "number").status == 200
        assert not list((data / "incoming").iterdir())
        assert not orphan.exists()


@pytest.mark.promise("F5")
def test_damaged_modules_and_damaged_or_foreign_code_are_never_run(tmp_path: Path) -> None:
    """One flipped bit in compiled code, and another module's code: made anew. A rotten blob: set aside."""
    data, one, two, rotten = tmp_path / "data", numbered(5000), numbered(5001), numbered(5002)
    with running_edge(data) as edge:
        for module in (one, two, rotten):
            edge.put("acme", module.wasm, module.digest)
    files = {path.name: path for path in (data / "compiled").glob("*/*")}
    flipped = bytearray(files[one.digest].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    files[one.digest].write_bytes(flipped)
    files[two.digest].write_bytes(bytes(flipped))
    files[rotten.digest].unlink()
    (data / "blobs" / rotten.digest[:2] / rotten.digest).write_bytes(rotten.wasm[:-1] + b"\x00")
    with running_edge(data) as edge:
        assert edge.call("acme", one.digest, "number").json["results"] == [5000]
        assert edge.call("acme", two.digest, "number").json["results"] == [5001]
        assert files[one.digest].read_bytes() != bytes(flipped)
        reply = edge.call("acme", rotten.digest, "number")
        assert reply.refused_with(404, "not-found")
        assert "damaged" in str(reply.json["detail"])
        assert (data / "damaged" / rotten.digest).exists()
        assert edge.put("acme", rotten.wasm, rotten.digest).status == 201
        assert edge.call("acme", rotten.digest, "number").json["results"] == [5002]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))


@pytest.mark.promise("F3")
def test_a_full_disk_is_a_507_with_nothing_half_visible(small_disk: Path, tmp_path: Path) -> None:
    data = small_disk / "data"
    with running_edge(data) as edge:
        edge.token("acme")
        first = numbered(6000)
        assert edge.put("acme", first.wasm, first.digest).status == 201
        ballast = small_disk / "ballast"
        fill(ballast)
        refused = [numbered(number) for number in range(6001, 6004)]
        for module in refused:
            assert edge.put("acme", module.wasm, module.digest).refused_with(507, "storage-failed")
        assert edge.call("acme", first.digest, "number").json["results"] == [6000]
        listed = edge.ask("GET", "/v1/modules", "acme").json["modules"]
        assert isinstance(listed, list)
        assert len(listed) == 1
        assert not list((data / "incoming").iterdir())
        assert len([path for path in (data / "blobs").rglob("*") if path.is_file()]) == 1
        ballast.unlink()
        for module in refused:
            assert edge.put("acme", module.wasm, module.digest).status == 201


@pytest.mark.promise("F3")
def test_a_limit_on_file_size_is_met_like_a_full_disk(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", before=["prlimit", "--fsize=300000"]) as edge:
        module = Module(numbered(7000).wasm + custom_section(400_000), "")
        reply = edge.put("acme", module.wasm, hashlib.sha256(module.wasm).hexdigest())
        assert reply.refused_with(507, "storage-failed")
        assert not list((tmp_path / "data" / "incoming").iterdir())
        small = numbered(7001)
        assert edge.put("acme", small.wasm, small.digest).status == 201


def custom_section(size_bytes: int) -> bytes:
    content = b"\x01x" + bytes(size_bytes)
    return b"\0" + encode_uleb128(len(content)) + content


def is_healthy(edge: RunningEdge) -> bool:
    try:
        return edge.ask("GET", "/v1/health").status == 200
    except OSError:
        return False


@pytest.mark.promise("F11")
def test_a_server_out_of_descriptors_recovers_by_itself(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", before=["prlimit", "--nofile=40"]) as edge:
        edge.put("acme", SORTS.wasm, SORTS.digest)
        held = [socket.create_connection(edge.address, timeout=5) for _ in range(60)]
        time.sleep(0.3)
        for connection in held:
            connection.close()
        until(lambda: is_healthy(edge))
        assert edge.call("acme", SORTS.digest, "fib", 10).json["results"] == [55]


def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data"):
        done = subprocess.run(
            [sys.executable, "-m", "lawow", "serve", "--data", str(tmp_path / "data"), "--port", "0"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 4
        assert "another `lawow serve` runs on this folder" in done.stderr
        assert "Traceback" not in done.stderr
