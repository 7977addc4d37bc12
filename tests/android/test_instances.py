"""Objects with an instance on the edge, and elastic calls: when the device takes over."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest

from tests.android.builders import Jvm, Sample
from tests.android.edge_double import Answer, EdgeDouble, serve
from tests.server.running import until


def opened(name: str) -> Answer:
    return Answer(json.dumps({"session": name}).encode(), 201, "application/json")


def counted(number: int) -> Answer:
    return Answer(struct.pack("<q", number))


def problem(status: int, code: str) -> Answer:
    return Answer(b"{}", status, "application/problem+json", {"Lawow-Error": code})


@pytest.fixture
def edge() -> Iterator[EdgeDouble]:
    with serve(None) as running:
        yield running


@pytest.fixture
def client(jvm: Jvm, edge: EdgeDouble) -> Jvm:
    return jvm.with_properties(edge=edge.url, timeout_seconds=5)


def sent(edge: EdgeDouble) -> list[str]:
    return [f"{request.method} {request.path}" for request in edge.requests]


def test_each_object_has_one_instance_from_its_first_call_until_it_is_closed(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [opened("one"), counted(1), counted(2), opened("two"), counted(1), counted(3)]
    output = client.run("Instances", "aabaAa", calls_module.name).splitlines()
    assert output == [
        "a ok 1", "a ok 2", "b ok 1", "a ok 3", "A closed", "a the instance on the edge is closed",
    ]  # fmt: skip
    opening = f"POST /v1/modules/sha256:{calls_module.digest}/sessions"
    calls = [f"POST /v1/sessions/{name}/exports/count/calls" for name in ("one", "two")]
    assert sent(edge)[:6] == [opening, calls[0], calls[0], opening, calls[1], calls[0]]
    assert edge.requests[1].headers["lawow-signature"] == "i>i"


def test_an_object_that_is_collected_closes_its_instance(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [opened("one"), counted(1), opened("two"), counted(1)]
    client.run("Instances", "abF", calls_module.name)
    until(lambda: sent(edge)[4:] == ["DELETE /v1/sessions/one"])


def test_closing_reaches_the_edge_without_the_caller_waiting(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [opened("one"), counted(1)]
    client.run("Instances", "aAF", calls_module.name)
    until(lambda: sent(edge)[2:] == ["DELETE /v1/sessions/one"])


def test_an_instance_that_the_edge_lost_is_not_silently_replaced(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [opened("one"), counted(1), problem(410, "session-lost"), problem(404, "not-found")]
    output = client.run("Instances", "aaa", calls_module.name).splitlines()
    assert output == ["a ok 1", "a session-lost false", "a not-found false"]
    assert sum(line.endswith("/sessions") for line in sent(edge)) == 1


def test_when_no_session_opens_nothing_ran_and_the_next_call_tries_again(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    foreign = Answer(b'{"session": "../x"}', 201, "application/json")
    edge.queue += [problem(503, "worker-lost"), foreign, opened("one"), counted(1)]
    output = client.run("Instances", "aaa", calls_module.name).splitlines()
    assert output == ["a worker-lost false", "a protocol false", "a ok 1"]


def test_the_first_call_decides_where_an_elastic_object_lives(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [problem(503, "busy")]
    assert client.run("Instances", "EE", calls_module.name).splitlines() == ["E LOCAL", "E LOCAL"]
    edge.queue += [opened("one"), counted(1), Answer(cut=True), counted(2)]
    output = client.run("Instances", "EEE", calls_module.name).splitlines()
    assert output == ["E ok 1", "E lost true", "E ok 2"]


def elastic(jvm: Jvm, module: Sample, count: int = 1) -> list[str]:
    call = ("elastic", module.name, "count", ">i")
    return [" ".join(answer.split()[:2]) for answer in jvm.calls(*[call] * count)]


@pytest.mark.parametrize(
    ("answer", "pure", "outcome"),
    [
        (counted(5), False, "ok 5"),
        (problem(429, "busy"), False, "ok LOCAL"),
        (problem(503, "worker-lost"), False, "remote worker-lost"),
        (problem(503, "worker-lost"), True, "ok LOCAL"),
        (Answer(cut=True), False, "remote lost"),
        (Answer(cut=True), True, "ok LOCAL"),
        (
            Answer(
                b"{}", 422, "application/problem+json", {"Lawow-Error": "trap", "Lawow-Trap": "unreachable"}
            ),
            True,
            "trap unreachable",
        ),
    ],
    ids=["answer", "refusal", "lost-worker", "lost-pure", "cut", "cut-pure", "trap"],
)
def test_the_device_takes_over_what_did_not_run_or_may_run_twice(
    client: Jvm, edge: EdgeDouble, calls_module: Sample, answer: Answer, pure: bool, outcome: str
) -> None:
    edge.answer = answer
    jvm = client.with_properties(pure=f"{'0' * 64} {calls_module.digest}") if pure else client
    assert elastic(jvm, calls_module) == [outcome]
    assert len(edge.requests) == 1


def test_an_edge_out_of_reach_is_left_alone_for_a_while(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.answer = Answer(cut=True)
    jvm = client.with_properties(pure=calls_module.digest)
    assert elastic(jvm, calls_module, 5) == ["ok LOCAL"] * 5
    assert len(edge.requests) == 1


def test_the_owner_may_choose_one_side(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.answer = problem(429, "busy")
    assert elastic(client.with_properties(mode="local"), calls_module) == ["ok LOCAL"]
    assert edge.requests == []
    assert elastic(client.with_properties(mode="remote"), calls_module) == ["remote busy"]
    assert elastic(client.with_properties(mode="both"), calls_module) == ["error IllegalStateException"]
