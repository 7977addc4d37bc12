"""F1, F6, F7, W13: a call whose worker, connection or edge is lost is told so, and never run twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.errors import HostLost, OutcomeUnknown
from tests.edge.builders import all_sorts
from tests.faults.cutting import CuttingProxy
from tests.faults.kills import WORKER_KILLS
from tests.faults.witness import CALLS, TENANT, WORK, Witness, witnessed_edge
from tests.load.traffic import FULL
from tests.server.running import until

FAR_FROM_RESTING = 1_000_000  # so many losses that no module rests
SIGNATURE = "ii>i"
STEP = 1 if FULL else 7


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    folder = tmp_path_factory.mktemp("witness")
    with witnessed_edge(folder, worker_losses=FAR_FROM_RESTING, connections_per_address=900) as running:
        yield running


@pytest.mark.promise("F1")
def test_workers_killed_at_any_moment_of_a_call_run_none_twice(witness: Witness) -> None:
    """Five kills for each of LAWOW_KILLS; every call of two clients is answered, its marks are counted."""
    edge, random = witness.edge, Random(1)
    answers: dict[int, str] = {}
    slowest, kills, is_over = 0.0, 0, threading.Event()

    def call_on(first: int) -> None:
        nonlocal slowest
        for number in range(first, CALLS // 2, 2):
            if is_over.is_set():
                return
            started = time.monotonic()
            reply = edge.call(TENANT, WORK.digest, "work", number, 5_000_000)
            slowest = max(slowest, time.monotonic() - started)
            answers[number] = reply.code or str(reply.json["results"])

    clients = [threading.Thread(target=call_on, args=(first,)) for first in range(2)]
    for client in clients:
        client.start()
    while kills < WORKER_KILLS:
        time.sleep(random.random() * 0.03)
        with suppress(KeyError, ProcessLookupError):
            os.kill(edge.workers()[TENANT], signal.SIGKILL)
            kills += 1
            until(lambda count=kills: edge.log.read_text().count("worker-ended") >= count)  # type: ignore[misc]
    is_over.set()
    for client in clients:
        client.join()
    told = Counter(answer if answer == "worker-lost" else "done" for answer in answers.values())
    assert {
        number: answer for number, answer in answers.items() if answer not in (f"[{number}]", "worker-lost")
    } == {}
    assert [number for number in range(CALLS) if witness.runs(number) > 1] == []
    assert all(witness.runs(number) == 1 for number, answer in answers.items() if answer != "worker-lost")
    assert told["worker-lost"] > 0
    assert slowest < 5
    print(f"F1: {kills} kills, {told}, double executions 0, slowest answer {slowest * 1000:.0f} ms")


@pytest.mark.promise("F6")
def test_a_connection_cut_at_any_byte_leaves_one_of_three_outcomes(witness: Witness) -> None:
    """Every byte of request and answer (in the short form every seventh), ended and reset in turn."""
    outcomes: Counter[str] = Counter()
    with CuttingProxy(witness.edge.address) as proxy:
        number, url, token = CALLS // 2, f"http://127.0.0.1:{proxy.port}", witness.edge.token(TENANT)
        for direction in ("request", "answer"):
            for offset in range(0, 2_000, STEP):
                number += 1
                proxy.cut_at(direction, offset, resets=offset % 2 == 1)
                outcome = outcome_of(EdgeClient(url, token, timeout_seconds=10), number)
                until(lambda: proxy.is_idle)
                runs = witness.runs(number)
                assert (outcome, runs) in ALLOWED, f"{direction} cut at {offset}"
                outcomes[outcome] += 1
                if outcome == "result":
                    break
    assert outcomes["result"] == 2
    assert outcomes["unknown"] > 500 / STEP
    print(f"F6: {outcomes}, wrong outcomes 0")


ALLOWED = {("result", 1), ("unknown", 0), ("unknown", 1), ("not sent", 0)}


def outcome_of(client: EdgeClient, number: int) -> str:
    with client:
        try:
            assert client.call(WORK.digest, "work", SIGNATURE, (number, 1)).results == (number,)
        except OutcomeUnknown:
            return "unknown"
        except HostLost:
            return "not sent"
        return "result"


@pytest.mark.promise("F7")
def test_an_edge_out_of_reach_for_a_while_is_used_again_and_runs_nothing_twice(witness: Witness) -> None:
    """The server stands still, as behind a cut network; clients give up in time, and come back."""
    first, clients = CALLS - 2_000, 40
    outcomes: dict[int, list[str]] = {client: [] for client in range(clients)}
    refused: list[int] = []
    is_healed = threading.Event()

    def use(client: int) -> None:
        with EdgeClient(witness.edge.url, witness.edge.token(TENANT), timeout_seconds=0.3) as edge:
            number = first + client * 40
            while outcomes[client].count("result") < 2 or not is_healed.is_set():
                try:
                    edge.call(WORK.digest, "work", SIGNATURE, (number, 1))
                    outcomes[client].append("result")
                except OutcomeUnknown:
                    outcomes[client].append("unknown")
                except EdgeProblem as problem:
                    outcomes[client].append(problem.code)
                    refused.append(number)
                number += 1
                time.sleep(0.1)

    os.kill(witness.edge.process.pid, signal.SIGSTOP)
    threads = [threading.Thread(target=use, args=(client,)) for client in range(clients)]
    try:
        for thread in threads:
            thread.start()
        time.sleep(1)
    finally:
        os.kill(witness.edge.process.pid, signal.SIGCONT)
    healed = time.monotonic()
    is_healed.set()
    for thread in threads:
        thread.join(30)
    took = time.monotonic() - healed
    assert all("unknown" in told and told[-1] == "result" for told in outcomes.values())
    assert {word for told in outcomes.values() for word in told} <= {"unknown", "result", "busy"}
    assert [number for number in refused if witness.runs(number)] == []
    assert [number for number in range(first, CALLS) if witness.runs(number) > 1] == []
    print(f"F7: {clients} clients, 1 s cut off, all served {took:.1f} s after it")


@pytest.mark.promise("W13")
def test_a_runtime_that_crashes_is_told_replaced_and_rests_when_it_happens_again(tmp_path: Path) -> None:
    """By a null pointer, an abort and a silent exit within the worker; other modules and tenants go on."""
    sorts, times = all_sorts(), []
    with witnessed_edge(tmp_path, worker_losses=3, quarantine_seconds=1.0) as crashing:
        edge = crashing.edge
        for tenant in (TENANT, "other"):
            assert edge.put(tenant, sorts.wasm, sorts.digest).status == 201
        for how in range(3):
            assert edge.call(TENANT, WORK.digest, "crash", how).refused_with(503, "worker-lost")
            if how == 2:  # at once, for it rests a second
                resting = edge.call(TENANT, WORK.digest, "work", 1, 1)
            lost = time.monotonic()
            assert edge.call(TENANT, sorts.digest, "fib", 5).json["results"] == [5]
            times.append(time.monotonic() - lost)
        assert resting.refused_with(503, "worker-lost")
        assert int(resting.headers["Retry-After"]) >= 1
        assert crashing.runs(1) == 0
        assert edge.call(TENANT, sorts.digest, "fib", 5).status == 200
        assert edge.call("other", sorts.digest, "fib", 5).status == 200
        until(lambda: edge.call(TENANT, WORK.digest, "work", 1, 1).status == 200)
    print(f"W13: 3 of 3 kinds told; next result after {[round(second * 1000) for second in times]} ms")
