"""Elastic functions of the stub: where a call runs, and when this device takes over."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.android.builders import Jvm, Sample
from tests.android.edge_double import Answer, EdgeDouble, serve


@pytest.fixture
def edge() -> Iterator[EdgeDouble]:
    with serve(None) as running:
        running.answer = Answer(struct.pack("<q", 55))
        yield running


@pytest.fixture
def client(jvm: Jvm, edge: EdgeDouble) -> Jvm:
    return jvm.with_properties(edge=edge.url, timeout_seconds=5)


def problem(status: int, code: str, **headers: str) -> Answer:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(b"{}", status, "application/problem+json", {"Lawow-Error": code, **more})


def run(jvm: Jvm, module: Sample, *words: str) -> list[str]:
    return jvm.run("Functions", module.name, *words).splitlines()


def test_a_call_looks_the_same_here_and_there_now_and_later(client: Jvm, calls_module: Sample) -> None:
    assert run(client, calls_module, "local", "remote", "local&", "remote&") == [
        "ok here 10 false", "ok 55 true", "ok here 10 false", "ok 55 true",
    ]  # fmt: skip


def test_the_automatic_policy_tries_both_places_and_keeps_the_quicker_one(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    places = [line.split()[-1] for line in run(client, calls_module, *(["auto"] * 130))]
    assert places[:2] == ["false", "true"]
    assert places[2:].count("true") == 2  # every 64th call looks whether the edge has become quicker
    assert len(edge.requests) == 3


def test_what_was_not_started_runs_here(jvm: Jvm, calls_module: Sample) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        away = jvm.with_properties(edge=f"http://127.0.0.1:{taken.getsockname()[1]}", timeout_seconds=5)
        assert run(away, calls_module, "remote", "remote&") == ["ok here 10 false"] * 2


def test_a_refusal_runs_here(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.answer = problem(429, "busy")
    assert run(client, calls_module, "remote") == ["ok here 10 false"]


def test_what_may_have_run_runs_again_only_if_it_is_idempotent(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.answer = Answer(cut=True)
    assert run(client, calls_module, "remote", "remote+", "remote&") == [
        "remote lost true true", "ok here 10 false", "later RemoteException true",
    ]  # fmt: skip


def test_traps_and_deadlines_are_results_and_not_run_again(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [problem(422, "trap", Lawow_Trap="unreachable"), problem(504, "deadline")]
    assert run(client, calls_module, "remote+", "remote+") == [
        "trap unreachable true", "remote deadline true true",
    ]  # fmt: skip
