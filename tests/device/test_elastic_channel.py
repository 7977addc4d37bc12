"""Elastic channels over TLS: both ways, one to many, cut and resumed, moved while messages flow."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lawow.channel.client import ClientConnection
from lawow.channel.documents import Value
from lawow.channel.events import MoveAsked
from lawow.channel.payloads import Kind, Policy
from lawow.device.channel_host import CarriedByClient, ChannelHost, FlexibleEnd, NextHost
from lawow.device.data_session import DataSession, dial
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.message_end import ChannelClosed
from lawow.errors import FormatError, HostLost, LawowError, LimitExceeded, Refused, Unauthorized, UsageError
from lawow.limits import CHANNEL
from tests.device.channels import TOKEN, TlsHost, local_client, tls_host
from tests.server.running import until

SECONDS = 20.0
COUNT = 600


def echo(end: FlexibleEnd) -> None:
    """Send everything back, until the other end closes."""
    for value in end:
        end.send(value, timeout_seconds=SECONDS)


class Hosts:
    """The device itself (``""``) and two edges over TLS; every host can move its ends to all others."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.next_hosts: dict[str, NextHost] = {}
        self.hosts = {name: ChannelHost(name, TOKEN, self.next_hosts) for name in ("", "edge-1", "edge-2")}
        self.next_hosts.update(self.hosts)
        self.served: dict[str, TlsHost] = {}
        self.clients: dict[str, DataSession] = {"": local_client(self.hosts[""])}
        stack.callback(self.hosts[""].close)
        stack.callback(self.clients[""].close)
        for name in ("edge-1", "edge-2"):
            self.served[name] = stack.enter_context(tls_host(self.hosts[name], folder))
            self.clients[name] = self.served[name].client()
            stack.callback(self.clients[name].close)

    def offer(self, name: str, type_name: str, handler: Callable[[FlexibleEnd], object]) -> None:
        for host in self.hosts.values():
            host.offer(name, type_name, handler)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Three hosts, freshly made."""
    with contextlib.ExitStack() as stack:
        yield Hosts(tmp_path, stack)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("s32", -7),
        ("s64", 2**62),
        ("f64", 0.1),
        ("string", "grüße"),
        ("list<s8>", [-128, 127]),
        ("list<f32>", [0.5, -1.5]),
        ("string", ""),
        ("string", "x" * 200_000),
    ],
)
def test_values_of_every_type_come_back_as_they_went(hosts: Hosts, type_name: str, value: Value) -> None:
    hosts.offer("echo", type_name, echo)
    with ElasticChannel("echo", type_name, hosts.clients, "edge-1") as channel:
        channel.send(value, timeout_seconds=SECONDS)
        assert channel.receive(timeout_seconds=SECONDS) == value


def test_both_ends_close_and_what_was_sent_before_still_arrives(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    channel = ElasticChannel("echo", "s32", hosts.clients, "edge-1")
    for number in range(10):
        channel.send(number)
    channel.close()
    assert list(channel) == list(range(10))
    with pytest.raises(ChannelClosed):
        channel.send(1)
    with pytest.raises(ChannelClosed):
        channel.receive()


def test_a_program_on_an_event_loop_sends_receives_and_iterates(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)

    async def program() -> list[Value]:
        channel = ElasticChannel("echo", "s32", hosts.clients, "edge-1")

        async def feed() -> None:
            for number in range(COUNT):
                await channel.send_async(number)
            await asyncio.to_thread(channel.close)

        feeder = asyncio.create_task(feed())
        received = [value async for value in channel]
        await feeder
        return received

    assert asyncio.run(asyncio.wait_for(program(), SECONDS)) == list(range(COUNT))


def test_waiting_ends_in_time_and_takes_nothing(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:
        with pytest.raises(LimitExceeded, match="channel echo"):
            channel.receive(timeout_seconds=0.05)
        with pytest.raises(LimitExceeded, match="channel echo"):
            asyncio.run(channel.receive_async(timeout_seconds=0.05))
        channel.send(5)
        assert channel.receive(timeout_seconds=SECONDS) == 5


def test_a_receiver_that_does_not_receive_stops_the_sender_at_a_window(hosts: Hosts) -> None:
    """Back-pressure reaches the program at the other end, and is over when it receives."""
    go_on = threading.Event()

    def lazy(end: FlexibleEnd) -> None:
        go_on.wait(SECONDS)
        echo(end)

    hosts.offer("lazy", "string", lazy)
    with ElasticChannel("lazy", "string", hosts.clients, "edge-1") as channel:
        sent = sent_until_full(lambda: channel.send("x" * 10_000, timeout_seconds=0.3))
        assert sent == 26  # 256 KiB hold 26 messages of 10,000 bytes with their length and 16 bytes each
        go_on.set()
        channel.send("the last one", timeout_seconds=SECONDS)
        received = [channel.receive(timeout_seconds=SECONDS) for _ in range(sent + 1)]
        assert received[-1] == "the last one"


def sent_until_full(send: Callable[[], None]) -> int:
    """Send until there is no room within the time; return how many messages went."""
    for sent in range(100):
        try:
            send()
        except LimitExceeded:
            return sent
    raise AssertionError("there was no end to the room")


def test_what_is_larger_than_a_window_or_of_another_type_is_refused_here(hosts: Hosts) -> None:
    hosts.offer("echo", "string", echo)
    with ElasticChannel("echo", "string", hosts.clients, "edge-1") as channel:
        with pytest.raises(LimitExceeded, match="window_bytes"):
            channel.send("x" * (1 << 18))
        with pytest.raises(FormatError):
            channel.send(7)
        channel.send("goes on")
        assert channel.receive(timeout_seconds=SECONDS) == "goes on"


def test_names_types_tokens_and_pins_that_are_wrong_are_refused(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    for name, type_name in [("echo", "string"), ("other", "s32")]:
        with pytest.raises(Refused, match="no such channel"):
            ElasticChannel(name, type_name, hosts.clients, "edge-1")
    with pytest.raises(FormatError, match="not a type of messages"):
        ElasticChannel("echo", "list<string>", hosts.clients, "edge-1")
    with pytest.raises(UsageError, match="no client for the host 'edge-9'"):
        ElasticChannel("echo", "s32", hosts.clients, "edge-9")
    with pytest.raises(Unauthorized):
        hosts.served["edge-1"].client(b"a guessed token")
    port = hosts.served["edge-1"].port
    with pytest.raises(Refused, match="nothing was sent"):
        DataSession(lambda: dial("127.0.0.1", port, "0" * 64), TOKEN)
    with pytest.raises(Refused, match="loopback"):
        dial("192.0.2.1", port, None)
    with pytest.raises(HostLost):
        DataSession(lambda: dial("127.0.0.1", closed_port(), None), TOKEN)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port


def exchanged(channel: ElasticChannel, disturb: Callable[[], None]) -> list[Value]:
    """Send `COUNT` numbers in one thread and receive their echoes in another while `disturb` runs."""
    received: list[Value] = []

    def take() -> None:
        received.extend(channel.receive(timeout_seconds=SECONDS) for _ in range(COUNT))

    def give() -> None:
        for number in range(COUNT):
            channel.send(number, timeout_seconds=SECONDS)

    threads = [threading.Thread(target=work) for work in (take, give)]
    for thread in threads:
        thread.start()
    disturb()
    for thread in threads:
        thread.join(2 * SECONDS)
    return received


def test_no_message_is_lost_or_comes_twice_while_connections_are_cut(hosts: Hosts) -> None:
    """The session is resumed by both sides, with everything that was on its way."""
    hosts.offer("echo", "s32", echo)
    cuts = itertools.count()
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:

        def cut() -> None:
            for _ in range(8):
                hosts.served["edge-1"].cut()
                next(cuts)
                threading.Event().wait(0.03)

        assert exchanged(channel, cut) == list(range(COUNT))
    assert next(cuts) == 8


def test_no_message_is_lost_or_comes_twice_while_the_end_moves(hosts: Hosts) -> None:
    """Device to edge, edge to edge and home again; the handler keeps its object, and its own count."""
    seen: list[int] = []
    places: set[str] = set()
    objects: list[FlexibleEnd] = []

    def counting(end: FlexibleEnd) -> None:
        objects.append(end)
        for value in end:
            places.add(end.host)
            seen.append(int(str(value)))
            end.send(value, timeout_seconds=SECONDS)

    hosts.offer("count", "s32", counting)
    with ElasticChannel("count", "s32", hosts.clients, "") as channel:

        def move() -> None:
            for destination in ["edge-1", "edge-2", "", "edge-2", "edge-1", ""] * 2:
                moved_at = len(seen)
                until(lambda moved_at=moved_at: len(seen) > moved_at or len(seen) == COUNT)
                channel.move(destination)
                assert channel.host == objects[0].host == destination

        assert exchanged(channel, move) == list(range(COUNT))
    assert seen == list(range(COUNT))
    assert len(objects) == 1
    assert len(places) >= 2


def test_moves_and_cuts_together_lose_nothing(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:

        def disturb() -> None:
            for destination in ["edge-2", "edge-1"] * 4:
                hosts.served["edge-1"].cut()
                hosts.served["edge-2"].cut()
                until_moved(channel, destination)

        assert exchanged(channel, disturb) == list(range(COUNT))


def until_moved(channel: ElasticChannel, destination: str) -> None:
    """Move, as a program does that knows that a network may be gone for a moment."""
    for _ in range(50):
        try:
            channel.move(destination)
            return
        except HostLost:
            threading.Event().wait(0.02)
    raise AssertionError("it could not be moved")


def test_a_draining_host_moves_its_ends_unasked(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:
        received = exchanged(channel, lambda: hosts.hosts["edge-1"].drain("edge-2"))
        assert received == list(range(COUNT))
        assert channel.host == "edge-2"


def answer_all(end: FlexibleEnd) -> None:
    """Send everything back, each message and its answer in one step to a move."""
    while True:
        end.answer(lambda value: value)


@pytest.mark.parametrize("name", ["", "a host that the client does not know"])
def test_an_end_that_is_sent_away_goes_to_its_refuge(hosts: Hosts, name: str) -> None:
    hosts.next_hosts[name] = CarriedByClient()
    hosts.offer("echo", "s32", answer_all)
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1", refuge="edge-2") as channel:
        received = exchanged(channel, lambda: hosts.hosts["edge-1"].drain(name))
        assert received == list(range(COUNT))
        assert channel.host == "edge-2"


@pytest.mark.parametrize(("destination", "error"), [("edge-2", Refused), ("closed", HostLost)])
def test_an_end_that_the_next_host_does_not_take_goes_to_its_refuge_with_all_messages(
    hosts: Hosts, destination: str, error: type[LawowError]
) -> None:
    hosts.hosts["edge-1"].offer("echo", "s32", answer_all)
    with local_client(hosts.hosts["edge-2"]) as closed:
        hosts.next_hosts.update(dict.fromkeys(("edge-2", "closed"), CarriedByClient()))
    clients = {**hosts.clients, "closed": closed}

    with ElasticChannel("echo", "s32", clients, "edge-1", refuge="edge-1") as channel:
        sender = threading.Thread(target=lambda: [channel.send(number) for number in range(COUNT)])
        sender.start()
        for _ in range(3):
            with pytest.raises(error):
                channel.move(destination)
            assert channel.host == "edge-1"
        assert [channel.receive(timeout_seconds=SECONDS) for _ in range(COUNT)] == list(range(COUNT))
        sender.join()


def test_an_end_that_is_sent_away_as_it_is_about_to_move_goes_where_it_was_to_move(hosts: Hosts) -> None:
    """MOVE and the unasked MOVED cross: the host answers the former with the latter."""

    class Ending(ChannelHost):
        def _asked_to_move(self, served: object, event: MoveAsked) -> None:
            self.drain("")

    ending = Ending("ending", TOKEN, {"": CarriedByClient()})
    with local_client(ending) as session:
        ending.offer("echo", "s32", answer_all)
        hosts.offer("echo", "s32", answer_all)
        clients = {**hosts.clients, "ending": session}
        with ElasticChannel("echo", "s32", clients, "ending", refuge="edge-1") as channel:
            channel.send(1)
            assert channel.receive(timeout_seconds=SECONDS) == 1
            channel.move("edge-2")
            assert channel.host == "edge-2"
            channel.send(2)
            assert channel.receive(timeout_seconds=SECONDS) == 2
    ending.close()


def test_a_channel_closes_after_its_end_has_moved(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    channel = ElasticChannel("echo", "s32", hosts.clients, "edge-1")
    channel.move("edge-2")
    channel.send(1)
    channel.close(timeout_seconds=SECONDS)
    assert list(channel) == [1]


def test_a_refused_move_leaves_everything_as_it_was(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    del hosts.next_hosts["edge-2"]
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:
        with pytest.raises(Refused, match="no such other host"):
            channel.move("edge-2")
        assert channel.host == "edge-1"
        channel.send(1)
        assert channel.receive(timeout_seconds=SECONDS) == 1
        with pytest.raises(UsageError, match="no client for the host"):
            channel.move("edge-3")


def test_a_ticket_opens_the_channel_once_and_only_that_one(hosts: Hosts) -> None:
    """Who guesses or repeats a ticket gets nothing."""
    hosts.offer("echo", "s32", echo)
    tickets: list[bytes] = []
    adopt = hosts.hosts["edge-2"].adopt

    class Watching:
        def adopt(self, end: FlexibleEnd, position: object) -> bytes:
            tickets.append(adopt(end, position))  # type: ignore[arg-type]  # as it came
            return tickets[-1]

    hosts.next_hosts["edge-2"] = Watching()
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:
        channel.move("edge-2")
        for ticket in (tickets[0], bytes(16)):
            events: list[object] = []
            client = hosts.clients["edge-2"]
            again = type(channel._end)(Kind.ENDPOINT, Policy.BLOCK, "echo", "s32", 1 << 18)
            client.open_channel(again, ticket, events.append)
            until(lambda seen=events: bool(seen))
            assert "not one of this host" in str(events[0])
        channel.send(1)
        assert channel.receive(timeout_seconds=SECONDS) == 1


@pytest.mark.parametrize("moves", [False, True])
def test_a_client_that_never_comes_back_leaves_nothing_behind(tmp_path: Path, moves: bool) -> None:
    """The handler is told when the session's time is over, also if its end was on the move by then."""
    limits = replace(CHANNEL, resume_seconds=0.5)
    reasons: list[Exception] = []

    def waiting(end: FlexibleEnd) -> None:
        try:
            end.receive(timeout_seconds=SECONDS)
        except (HostLost, LimitExceeded) as error:
            reasons.append(error)

    next_host = ChannelHost("next", TOKEN, {}, limits)
    host = ChannelHost("first", TOKEN, {"next": next_host}, limits)
    host.offer("wait", "s32", waiting)
    with tls_host(host, tmp_path) as served, served.client() as session:
        channel = ElasticChannel("wait", "s32", {"first": session}, "first")
        if moves:  # to a host that the client does not know
            host.drain("next")
        else:
            served.stop_listening()
            served.cut()
        until(lambda: bool(reasons))
        with pytest.raises((HostLost, UsageError)):
            channel.receive(timeout_seconds=SECONDS)
    assert isinstance(reasons[0], HostLost)


def test_a_topic_reaches_everybody_and_a_stalled_receiver_delays_nobody(hosts: Hosts) -> None:
    """Drop-oldest counts what it lost; disconnect ends the channel; the others get all, in order."""
    topic = hosts.hosts["edge-1"].topic("frames", "string")
    kinds = {"quick": Policy.BLOCK, "drops": Policy.DROP_OLDEST, "ends": Policy.DISCONNECT}
    channels = {
        name: ElasticChannel("frames", "string", hosts.clients, "edge-1", kind=Kind.TOPIC, policy=policy)
        for name, policy in kinds.items()
    }
    assert len(topic) == 3
    quick: list[Value] = []
    reader = threading.Thread(
        target=lambda: quick.extend(channels["quick"].receive(timeout_seconds=SECONDS) for _ in range(100))
    )
    reader.start()
    sent = [f"{number:5}" + "x" * 10_000 for number in range(100)]
    for text in sent:
        topic.publish(text, timeout_seconds=SECONDS)
    reader.join(SECONDS)
    assert quick == sent
    dropped = [channels["drops"].receive(timeout_seconds=SECONDS)]
    while dropped[-1] != sent[-1]:
        dropped.append(channels["drops"].receive(timeout_seconds=SECONDS))
    assert channels["drops"].missed == len(sent) - len(dropped) > 0
    assert dropped == sorted(map(str, dropped))
    with pytest.raises(HostLost, match="slow"):
        list(channels["ends"])
    for channel in channels.values():
        channel.reset()
    until(lambda: len(topic) == 0)


def test_a_topic_waits_for_a_receiver_that_asked_for_it(hosts: Hosts) -> None:
    topic = hosts.hosts["edge-1"].topic("frames", "string")
    with ElasticChannel("frames", "string", hosts.clients, "edge-1", kind=Kind.TOPIC) as channel:
        sent = sent_until_full(lambda: topic.publish("x" * 10_000, timeout_seconds=0.2))
        assert sent == 26
        for _ in range(sent):
            channel.receive(timeout_seconds=SECONDS)
        topic.publish("there is room", timeout_seconds=SECONDS)
        assert channel.receive(timeout_seconds=SECONDS) == "there is room"
        with pytest.raises(Refused):
            channel.move("edge-2")


def test_who_greets_or_opens_and_leaves_at_once_ends_nothing_but_his_visit(hosts: Hosts) -> None:
    hosts.offer("echo", "s32", echo)
    for token in (TOKEN, b"a guess"):
        link = ClientConnection()
        with hosts.hosts["edge-1"].connect() as connection:
            link.send_hello(token)
            link.send_goodbye("")
            connection.sendall(link.data_to_send())
            assert connection.recv(100) == b""
    with ElasticChannel("echo", "s32", hosts.clients, "edge-1") as channel:
        channel.send(1)
        assert channel.receive(timeout_seconds=SECONDS) == 1


def test_a_topic_does_not_wait_for_a_receiver_that_has_said_goodbye(hosts: Hosts) -> None:
    host = hosts.hosts["edge-1"]
    topic = host.topic("frames", "string")
    link = ClientConnection()
    with host.connect() as connection:
        link.send_hello(TOKEN)
        connection.sendall(link.data_to_send())
        link.receive_data(connection.recv(65536))
        link.send_open("frames", "string", kind=Kind.TOPIC)
        link.send_goodbye("done")
        connection.sendall(link.data_to_send())
        while connection.recv(65536):
            continue
    for _ in range(100):  # four windows
        topic.publish("x" * 10_000, timeout_seconds=SECONDS)
    assert len(topic) == 0
