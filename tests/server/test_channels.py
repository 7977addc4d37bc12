"""Channels on a running edge, over TLS: a guest as an endpoint, moves to the device and back, topics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lawow.channel.payloads import Kind, Policy
from lawow.device.channel_host import CarriedByClient, ChannelHost
from lawow.device.data_session import DataSession, dial
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.message_end import ChannelClosed
from lawow.errors import HostLost, LimitExceeded, Refused
from lawow.limits import EDGE
from tests.edge.builders import module_of
from tests.server.planes import CuttingProxy, Plane, grant_channels, greeted, open_plane
from tests.server.running import RunningEdge, running_edge, until

TOKEN = b"token-of-the-phone"
GUEST = module_of(
    """(module
  (import "lawow:channel" "receive" (func $receive (param i32 i32) (result i32)))
  (import "lawow:channel" "room" (func $room (result i32)))
  (import "lawow:channel" "send" (func $send (param i32 i32) (result i32)))
  (import "lawow:channel" "publish" (func $publish (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 8) (data (i32.const 0) "news")
  (func (export "echo") (local $size i32)
    (block $done (loop $next
      (local.set $size (call $receive (i32.const 16) (i32.const 0)))
      (br_if $done (i32.lt_s (local.get $size) (i32.const 0)))
      (br_if $done (i32.lt_s (call $room) (local.get $size)))
      (drop (call $receive (i32.const 16) (local.get $size)))
      (drop (call $send (i32.const 16) (local.get $size)))
      (br $next))))
  (func (export "announce") (local $size i32)
    (local.set $size (call $receive (i32.const 16) (i32.const 65536)))
    (if (i32.gt_s (local.get $size) (i32.const 0))
      (then (drop (call $publish (i32.const 0) (i32.const 4) (i32.const 16) (local.get $size))))))
  (func (export "flood") (local $size i32)
    (local.set $size (call $receive (i32.const 16) (i32.const 65536)))
    (loop $more (br_if $more
      (call $publish (i32.const 0) (i32.const 4) (i32.const 16) (local.get $size)))))
  (func (export "lie") (drop (call $receive (i32.const 16) (i32.const 64)))
    (i64.store (i32.const 16) (i64.const -1)) (drop (call $send (i32.const 16) (i32.const 8))))
  (func (export "wild") (drop (call $receive (i32.const -4) (i32.const 64))))
  (func (export "trap") (drop (call $receive (i32.const 16) (i32.const 64))) unreachable)
  (func (export "take") (param i32))
  (func (export "spin") (loop $l (br $l))))"""
)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge with TLS on its data plane."""
    data = tmp_path_factory.mktemp("channels") / "data"
    with running_edge(data, data_tls=True, deadline_seconds=2.0) as running:
        yield running


@pytest.fixture
def plane(serving: RunningEdge, tenant: str) -> Iterator[Plane]:
    """A lease with an instance that uses channels."""
    grant_channels(serving, tenant)
    opened = open_plane(serving, tenant, GUEST)
    yield opened
    serving.ask("DELETE", f"/v1/leases/{opened.lease}", tenant)


@pytest.fixture
def session(plane: Plane) -> Iterator[DataSession]:
    """A device's session with it."""
    with plane.session() as made:
        yield made


def topic(
    session: DataSession, name: str, policy: Policy = Policy.BLOCK, kind: str = "s32"
) -> ElasticChannel:
    """Open a topic."""
    return ElasticChannel(name, kind, {"edge": session}, "edge", kind=Kind.TOPIC, policy=policy)


def test_a_guest_answers_messages_as_the_flexible_end(session: DataSession) -> None:
    with ElasticChannel("echo", "list<f64>", {"edge": session}, "edge") as channel:
        for values in ([1.5, -2.0], [], [0.25] * 10_000):
            channel.send(values)
            assert list(channel.receive(timeout_seconds=10)) == values  # type: ignore[call-overload]
        channel.close()
        with pytest.raises(ChannelClosed):
            channel.receive(timeout_seconds=10)


def test_a_slow_device_stops_the_guest_and_loses_nothing(session: DataSession) -> None:
    with ElasticChannel("echo", "string", {"edge": session}, "edge") as channel:
        texts = [str(index) * 3_000 for index in range(100, 400)]
        sender = threading.Thread(target=lambda: [channel.send(text) for text in texts])
        sender.start()
        assert heard_by(channel, len(texts)) == texts
        sender.join()


def test_messages_flow_while_the_flexible_end_moves_to_the_device_and_back(session: DataSession) -> None:
    phone = ChannelHost("phone", TOKEN, {"edge": CarriedByClient()})
    phone.offer("echo", "s32", lambda end: [end.answer(lambda value: value) for _ in iter(int, 1)])
    count = 3_000
    with DataSession(phone.connect, TOKEN) as local:
        hosts = {"edge": session, "phone": local}
        with ElasticChannel("echo", "s32", hosts, "edge") as channel:
            received: list[object] = []
            sender = threading.Thread(target=lambda: [channel.send(index) for index in range(count)])
            receiver = threading.Thread(
                target=lambda: received.extend(channel.receive(timeout_seconds=20) for _ in range(count))
            )
            sender.start()
            receiver.start()
            for place in ("phone", "edge") * 4:
                channel.move(place)
                assert channel.host == place
            sender.join()
            receiver.join()
            assert received == list(range(count))
    phone.close()


def test_a_channel_goes_on_where_a_cut_connection_left_it(plane: Plane) -> None:
    with (
        CuttingProxy(plane) as proxy,
        proxy.plane.session() as session,
        ElasticChannel("echo", "s32", {"edge": session}, "edge") as channel,
    ):
        for cut, is_inward in enumerate((True, False, True, False)):
            proxy.cut_after(300 + 50 * cut, is_inward=is_inward)
            for index in range(60):
                channel.send(index)
            assert [channel.receive(timeout_seconds=15) for _ in range(60)] == list(range(60))


@pytest.mark.parametrize("export", ["trap", "wild", "lie", "spin"])
def test_a_handler_that_fails_ends_its_channel_alone(
    serving: RunningEdge, session: DataSession, plane: Plane, export: str
) -> None:
    other = topic(session, "quiet")
    with ElasticChannel(export, "string" if export == "lie" else "s32", {"edge": session}, "edge") as channel:
        channel.send("x" if export == "lie" else 1)
        with pytest.raises(HostLost, match="session-lost"):
            channel.receive(timeout_seconds=10)
    other.send(3)
    assert other.receive(timeout_seconds=10) == 3
    other.reset()


@pytest.mark.parametrize(
    ("name", "kind", "match"),
    [("absent", "s32", "no export"), ("", "s32", "no export"), ("take", "s32", "has the type")],
)
def test_what_is_no_endpoint_is_refused(session: DataSession, name: str, kind: str, match: str) -> None:
    with pytest.raises(Refused, match=match):
        ElasticChannel(name, kind, {"edge": session}, "edge")


def test_what_one_says_to_a_topic_all_hear_in_order(plane: Plane) -> None:
    with ExitStack() as stack:
        ends = [topic(stack.enter_context(plane.session()), "talk") for _ in range(4)]
        for index in range(50):
            ends[0].send(index)
        for end in ends:
            assert heard_by(end, 50) == list(range(50))
        with pytest.raises(Refused, match="another type"):
            topic(stack.enter_context(plane.session()), "talk", kind="string")


def test_a_guest_publishes_to_a_topic(session: DataSession) -> None:
    news = topic(session, "news")
    with ElasticChannel("announce", "s32", {"edge": session}, "edge") as channel:
        for index in range(5):
            channel.send(index)
        assert heard_by(news, 5) == list(range(5))
    news.reset()


def test_each_slow_receiver_of_a_topic_gets_what_it_asked_for(plane: Plane) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(plane.session()) for _ in range(4)]
        dropping = topic(sessions[0], "big", Policy.DROP_OLDEST, "string")
        leaving = topic(sessions[1], "big", Policy.DISCONNECT, "string")
        speaker = topic(sessions[2], "big", Policy.DROP_OLDEST, "string")
        texts = [f"{index:04}" + "x" * 20_000 for index in range(100)]
        for text in texts:  # 2 MB, which nobody but the speaker takes
            speaker.send(text, timeout_seconds=10)
            assert speaker.receive(timeout_seconds=10) == text
        heard = [dropping.receive(timeout_seconds=10)]
        while heard[-1] != texts[-1]:
            heard.append(dropping.receive(timeout_seconds=10))
        assert heard == sorted(set(heard))  # type: ignore[type-var]  # in order, none twice
        assert len(heard) + dropping.missed == len(texts)
        assert dropping.missed > 50
        with pytest.raises(HostLost, match="slow"):
            heard_by(leaving, len(texts))
        waiting = topic(sessions[3], "big", Policy.BLOCK, "string")
        with pytest.raises(LimitExceeded):  # the topic waits for it, and so does the speaker
            tell(speaker, texts)
        assert waiting.receive(timeout_seconds=10) == texts[0]


def heard_by(end: ElasticChannel, count: int) -> list[object]:
    """Receive so many messages."""
    return [end.receive(timeout_seconds=10) for _ in range(count)]


def tell(end: ElasticChannel, texts: list[str]) -> None:
    """Send, and wait for half a second at most."""
    for text in texts:
        end.send(text, timeout_seconds=0.5)


def test_a_guest_that_publishes_without_end_is_told_that_there_is_no_room(session: DataSession) -> None:
    news, text = topic(session, "news", kind="string"), "x" * 20_000
    with ElasticChannel("flood", "string", {"edge": session}, "edge") as channel:
        channel.send(text)
        assert heard_by(news, 13) == [text] * 13  # 256 KiB
        with pytest.raises(LimitExceeded):
            news.receive(timeout_seconds=0.3)
        channel.send(text)
        assert heard_by(news, 13) == [text] * 13
    news.reset()


@pytest.mark.parametrize("ending", ["reset", "goodbye"])
def test_frames_that_come_together_with_their_channels_end_harm_nobody(
    session: DataSession, plane: Plane, ending: str
) -> None:
    with topic(session, "talk") as mine, dial(plane.host, plane.port, plane.pin) as connection:
        link = greeted(connection, plane)
        talks = [link.send_open("talk", "s32", kind=Kind.TOPIC) for _ in range(3)]
        echo = link.send_open("echo", "s32")
        connection.sendall(link.data_to_send())
        while not all(link.can_send(item, 8) for item in (*talks, echo)):
            link.receive_data(connection.recv(65536))
        for channel_id in (talks[0], echo):
            link.send_message(channel_id, bytes(8))
        link.send_move(talks[1], "elsewhere")
        late = [link.send_open(name, "s32") for name in ("echo", "absent")]
        if ending == "reset":
            for channel_id in (*talks, echo, *late):
                link.send_reset(channel_id, "closed")
        else:
            link.send_goodbye("")
        connection.sendall(link.data_to_send())
        if ending == "goodbye":  # a RESET ends what is on its way, too
            assert mine.receive(timeout_seconds=10) == 0
        mine.send(7)
        assert mine.receive(timeout_seconds=10) == 7


@pytest.mark.parametrize("code", ["", "done", "idle", None])
def test_a_topic_waits_for_a_receiver_that_was_lost_and_not_for_one_that_has_left(
    session: DataSession, plane: Plane, code: str | None
) -> None:
    with topic(session, "talk") as mine:
        with dial(plane.host, plane.port, plane.pin) as connection:
            link = greeted(connection, plane)
            other = link.send_open("talk", "s32", kind=Kind.TOPIC)
            connection.sendall(link.data_to_send())
            while not link.can_send(other, 8):
                link.receive_data(connection.recv(65536))
            if code is not None:
                link.send_goodbye(code)
                connection.sendall(link.data_to_send())
                assert connection.recv(65536) == b""  # the edge has read it, and hangs up
        mine.send(7)
        has_left = code in ("", "done")
        if not has_left:
            with pytest.raises(LimitExceeded):
                mine.receive(timeout_seconds=0.3)
            with dial(plane.host, plane.port, plane.pin) as connection:
                assert other in greeted(connection, plane, link.session).session.channels
                assert mine.receive(timeout_seconds=10) == 7
            return
        assert mine.receive(timeout_seconds=10) == 7
        with dial(plane.host, plane.port, plane.pin) as connection:
            assert other not in greeted(connection, plane, link.session).session.channels


@pytest.mark.parametrize(("name", "kind"), [("echo", Kind.ENDPOINT), ("talk", Kind.TOPIC)])
def test_channels_that_were_closed_take_no_place(session: DataSession, name: str, kind: Kind) -> None:
    for index in range(EDGE.data_channels + 20):
        channel = ElasticChannel(name, "s32", {"edge": session}, "edge", kind=kind)
        channel.send(index)
        channel.close()
        assert channel.receive(timeout_seconds=10) == index
        with pytest.raises(ChannelClosed):
            channel.receive(timeout_seconds=10)


def test_channels_beyond_the_limit_are_refused_until_one_ends(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", data_channels=3) as edge:
        grant_channels(edge, "tenant")
        plane = open_plane(edge, "tenant", GUEST)
        with plane.session() as first, plane.session() as second:
            held = [topic(session, "talk") for session in (first, second)]
            channel = ElasticChannel("echo", "s32", {"edge": first}, "edge")
            with pytest.raises(Refused, match="3 channels"):
                topic(second, "other")
            channel.reset()
            until(lambda: opened_in_the_place(second, held))  # the reset came by another connection
            held[0].send(1)
            assert held[1].receive(timeout_seconds=10) == 1


def opened_in_the_place(session: DataSession, held: list[ElasticChannel]) -> bool:
    """Open one more topic, if the edge knows already that there is a place for it."""
    try:
        held.append(topic(session, "other"))
    except Refused:
        return False
    return True


def test_topics_of_other_instances_are_other_topics(serving: RunningEdge, tenant: str, plane: Plane) -> None:
    other_plane = open_plane(serving, tenant, GUEST)  # in the same worker
    with plane.session() as first, other_plane.session() as second:
        mine, theirs = topic(first, "talk"), topic(second, "talk")
        mine.send(1)
        assert mine.receive(timeout_seconds=10) == 1
        with pytest.raises(LimitExceeded):
            theirs.receive(timeout_seconds=0.3)
