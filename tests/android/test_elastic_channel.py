"""The stub's elastic channels against hosts on Python's connection: order and once, across moves and cuts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from tests.android.builders import Jvm
from tests.android.edge_double import Certificate, make_certificate
from tests.android.moving_hosts import TICKS, TOKEN, MovingHost, moving_hosts
from tests.android.test_channel_protocol import JavaEnd

HOSTS = ("alpha", "beta")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "host")


@pytest.fixture(scope="module")
def hosts(certificate: Certificate) -> Iterator[dict[str, MovingHost]]:
    with moving_hosts(*HOSTS, certificate=certificate.pem) as running:
        yield running


@pytest.fixture(scope="module")
def process(jvm: Jvm) -> Iterator[JavaEnd]:
    with jvm.started("Planes") as started:
        yield JavaEnd(started)


@pytest.fixture
def java(process: JavaEnd, hosts: dict[str, MovingHost], certificate: Certificate) -> Iterator[JavaEnd]:
    """A JVM that knows the hosts."""
    for name, host in hosts.items():
        process.ask("host", name, "127.0.0.1", host.port, certificate.sha256, TOKEN)
    yield process
    process.ask("reset")
    for name in hosts:
        process.ask("close", name)


def open_echo(java: JavaEnd) -> None:
    assert java.ask("open", "echo", "string", "alpha") == "ok"


def numbers(flow: str) -> tuple[list[str], list[int]]:
    """Return what was echoed, and the numbers that the flexible end gave."""
    assert not flow.startswith(("failures", "remote", "error", "closed")), flow
    items = [item.split("@") for item in flow.split()]
    return [value for value, _ in items], [int(rest.split("#")[1]) for _, rest in items]


def test_messages_go_both_ways_and_the_end_moves_with_what_it_knows(java: JavaEnd) -> None:
    open_echo(java)
    for value, host, number in (("one", "alpha", 1), ("two", "beta", 2), ("three", "alpha", 3)):
        if number > 1:
            assert java.ask("move", host) == host
        java.ask("send", value, 1000)
        assert java.ask("receive", 5000) == f"{value}@{host}#{number} missed 0"


def test_while_messages_flow_the_end_moves_and_none_is_lost_or_comes_twice(java: JavaEnd) -> None:
    open_echo(java)
    flow = java.ask("flow", 3000, *(HOSTS[1 - turn % 2] for turn in range(8)))
    values, counted = numbers(flow)
    assert values == [f"m{number}" for number in range(1, 3001)]
    assert counted == list(range(1, 3001))
    assert "@beta" in flow
    assert "@alpha" in flow


@pytest.mark.parametrize("seed", [1, 2])
def test_connections_that_are_cut_anywhere_lose_nothing_either(
    java: JavaEnd, hosts: dict[str, MovingHost], seed: int
) -> None:
    chance, stop = random.Random(seed), threading.Event()
    open_echo(java)

    def cut() -> None:
        while not stop.wait(0.02):
            hosts[chance.choice(HOSTS)].cut(chance)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        flow = java.ask("flow", 4000, *(HOSTS[1 - turn % 2] for turn in range(6)))
    finally:
        stop.set()
        cutter.join()
    values, counted = numbers(flow)
    assert values == [f"m{number}" for number in range(1, 4001)]
    assert counted == list(range(1, 4001))


def test_the_end_comes_home_with_what_was_on_its_way_and_leaves_again(java: JavaEnd) -> None:
    open_echo(java)
    java.ask("send", "away", 1000)
    assert java.ask("receive", 5000) == "away@alpha#1 missed 0"
    assert java.ask("move", "") == ""
    java.ask("send", "here", 1000)
    assert java.ask("receive", 5000) == "here@home missed 0"
    assert java.ask("move", "beta") == "beta"
    java.ask("send", "there", 1000)
    assert java.ask("receive", 5000) == "there@beta#1 missed 0"


def test_while_messages_flow_it_comes_home_and_leaves_and_none_is_lost(java: JavaEnd) -> None:
    open_echo(java)
    flow = java.ask("flow", 2000, "", "beta", "", "alpha")
    assert [item.split("@")[0] for item in flow.split()] == [f"m{number}" for number in range(1, 2001)]


def test_a_refused_move_leaves_all_as_it_was(java: JavaEnd) -> None:
    java.ask("host", "unknown", "127.0.0.1", 1, "ab" * 32, TOKEN)
    open_echo(java)
    assert java.ask("move", "unknown").startswith("remote not-found false ")
    java.ask("send", "still", 1000)
    assert java.ask("receive", 5000) == "still@alpha#1 missed 0"
    assert java.ask("move", "nowhere").startswith("error IllegalArgumentException")


def test_an_end_that_the_next_host_does_not_take_comes_home_with_what_was_on_its_way(
    java: JavaEnd, hosts: dict[str, MovingHost]
) -> None:
    open_echo(java)
    java.ask("send", "away", 1000)
    assert java.ask("receive", 5000) == "away@alpha#1 missed 0"
    hosts["beta"].takes_ends = False
    try:
        for _ in range(2):  # from the other host, and from here
            assert java.ask("move", "beta").startswith("remote busy false ")
            java.ask("send", "here", 1000)
            assert java.ask("receive", 5000) == "here@home missed 0"
    finally:
        hosts["beta"].takes_ends = True
    assert java.ask("move", "beta") == "beta"
    java.ask("send", "there", 1000)
    assert java.ask("receive", 5000) == "there@beta#1 missed 0"


def test_a_channel_that_is_not_there_is_refused(java: JavaEnd) -> None:
    assert java.ask("open", "nothing", "string", "alpha").startswith("remote not-found false ")
    assert java.ask("open", "echo", "tuple<s32>", "alpha").startswith("error IllegalArgumentException")


def test_closing_lets_come_what_is_on_its_way_and_then_says_so(java: JavaEnd) -> None:
    open_echo(java)
    java.ask("send", "last", 1000)
    assert java.ask("end") == "ok"
    assert java.ask("receive", 5000) == "last@alpha#1 missed 0"
    assert java.ask("receive", 5000).startswith("closed ")
    assert java.ask("send", "more", 1000).startswith("closed ")


def test_sending_waits_while_the_other_end_has_no_room_and_receiving_while_nothing_comes(
    java: JavaEnd,
) -> None:
    open_echo(java)
    assert java.ask("receive", 50).startswith("remote deadline false ")
    assert java.ask("send", "x" * 300_000, 50).startswith("error IllegalArgumentException")
    answers = [java.ask("send", "x" * 100_000, 300) for _ in range(8)]
    assert answers[0] == "ok"
    assert answers[-1].startswith("remote deadline false ")  # its answers have no room, so it takes no more
    sent = answers.count("ok")
    received = [java.ask("receive", 5000) for _ in range(sent)]
    assert [item.split("#")[1] for item in received] == [
        f"{number} missed 0" for number in range(1, sent + 1)
    ]


@pytest.mark.parametrize("policy", [0, 1, 2])
def test_a_topic_waits_drops_the_oldest_or_ends_a_receiver_that_is_slow(java: JavaEnd, policy: int) -> None:
    assert java.ask("subscribe", "ticks", "string", "alpha", policy) == "ok"
    time.sleep(0.3)  # a receiver that is slow
    answers = [java.ask("receive", 400)]
    while answers[-1].startswith("tick"):
        answers.append(java.ask("receive", 400))
    seen = [int(item.split()[1]) for item in answers[:-1]]
    assert seen == sorted(set(seen))
    if policy == 1:
        assert seen[-1] == TICKS - 1
        assert answers[-2].endswith(f"missed {TICKS - len(seen)}")
    if policy == 2:
        assert answers[-1].startswith("remote slow false ")
