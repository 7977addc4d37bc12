"""One to many: what a slow receiver costs, by its policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lawow.channel import events
from lawow.channel.payloads import Kind, Policy
from lawow.channel.topics import Topic
from lawow.errors import LocalProtocolError
from lawow.limits import CHANNEL
from tests.channel.test_channels import values
from tests.channel.test_resume import again
from tests.channel.wires import Pair

WINDOW = 1_000
LIMITS = replace(CHANNEL, window_bytes=WINDOW)


def subscribed(topic: Topic, policy: Policy) -> tuple[Pair, int]:
    """A client that has opened a channel to the topic."""
    pair = Pair(client_limits=LIMITS, server_limits=LIMITS)
    pair.greet()
    channel = pair.client.send_open("news", "string", kind=Kind.TOPIC, policy=policy)
    pair.run()
    pair.server.send_opened(channel)
    topic.join(pair.server, channel)
    pair.run()
    return pair, channel


def test_every_receiver_gets_every_message_in_order() -> None:
    topic = Topic()
    receivers = [subscribed(topic, policy) for policy in Policy]
    for number in range(3):
        assert topic.publish(b"%d" % number) == []
    assert [values(pair.run()[0]) for pair, _ in receivers] == [[b"0", b"1", b"2"]] * 3


@pytest.mark.promise("N11")
def test_a_topic_waits_for_a_receiver_that_asked_for_it() -> None:
    topic = Topic()
    pair, channel = subscribed(topic, Policy.BLOCK)
    while topic.can_publish(84):
        topic.publish(bytes(84))
    with pytest.raises(LocalProtocolError, match="must wait for"):
        topic.publish(bytes(84))
    assert len(values(pair.run()[0])) == WINDOW // 100
    pair.client.send_credit(channel, 1)
    pair.run()
    assert topic.can_publish(84)


@pytest.mark.promise("N11")
def test_dropping_keeps_the_newest_and_tells_what_is_missing() -> None:
    topic = Topic()
    pair, channel = subscribed(topic, Policy.DROP_OLDEST)
    for number in range(100):
        topic.publish(b"%084d" % number)
    got = values(pair.run()[0])
    assert [int(value) for value in got] == list(range(10))
    pair.client.send_credit(channel, 10)
    pair.run()
    topic.writable(pair.server.channel(channel))
    told, _ = pair.run()
    messages = [event for event in told if isinstance(event, events.Message)]
    assert [int(bytes(event.value)) for event in messages] == list(range(90, 100))
    assert [event.missed for event in messages] == [80] + [0] * 9
    assert messages[-1].sequence == 100


@pytest.mark.promise("N11")
def test_a_slow_receiver_is_disconnected_if_it_asked_for_that_and_others_do_not_notice() -> None:
    topic = Topic()
    slow, channel = subscribed(topic, Policy.DISCONNECT)
    quick, other = subscribed(topic, Policy.DISCONNECT)
    end = slow.server.channel(channel)
    for number in range(11):
        ended = topic.publish(b"%084d" % number)
        quick.client.send_credit(other, number)
        quick.run()
        if number < 10:
            assert ended == []
    assert ended == [end]
    told, _ = slow.run()
    assert told[-1] == events.ChannelEnded(channel, "slow", "the receiver was too slow")
    assert len(topic) == 1


def test_a_receiver_that_comes_back_gets_what_waited() -> None:
    topic = Topic()
    pair, channel = subscribed(topic, Policy.DROP_OLDEST)
    topic.publish(b"before")
    pair.lose()
    topic.publish(b"away")
    second, told = again(pair, LIMITS)
    topic.join(second.server, channel)
    assert values(told) + values(second.run()[0]) == [b"before", b"away"]


def test_a_receiver_that_is_away_too_long_finds_its_channel_ended() -> None:
    topic = Topic()
    pair, channel = subscribed(topic, Policy.DISCONNECT)
    pair.lose()
    assert len(topic.publish(b"x")) == 1
    assert again(pair, LIMITS)[1][-1] == events.ChannelEnded(channel, "session-lost", "")
