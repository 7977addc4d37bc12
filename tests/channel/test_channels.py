"""Channels: order, credit, closing, loss and moves. No message is lost and none comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lawow.channel import events
from lawow.channel.payloads import Kind, Policy
from lawow.channel.sequences import Position
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ChannelState
from lawow.errors import LocalProtocolError
from lawow.limits import CHANNEL
from tests.channel.test_resume import again
from tests.channel.wires import Cut, Pair, whole

TINY = replace(CHANNEL, frame_bytes=16 << 10, window_bytes=40_000)


def joined(cut: Cut = whole, policy: Policy = Policy.BLOCK) -> tuple[Pair, int]:
    """A pair with a channel."""
    pair = Pair(cut, client_limits=TINY, server_limits=TINY)
    pair.greet()
    kind = Kind.ENDPOINT if policy is Policy.BLOCK else Kind.TOPIC
    channel = pair.client.send_open("sensor", "list<f32>", kind=kind, policy=policy)
    assert pair.run()[1] == [events.ChannelAsked(channel, kind, policy, "sensor", "list<f32>", 0, b"")]
    pair.server.send_opened(channel)
    assert pair.run()[0] == [events.ChannelOpened(channel)]
    return pair, channel


def values(told: Sequence[events.Event]) -> list[bytes]:
    """The values of the messages among events."""
    return [bytes(event.value) for event in told if isinstance(event, events.Message)]


def test_messages_go_both_ways_in_order_whatever_their_size() -> None:
    pair, channel = joined()
    sizes = [0, 1, 100, 16_376, 16_377, 20_000]
    up, down = [b"u" * size for size in sizes[:5]], [b"d" * size for size in sizes[:5]]
    for one, other in zip(up, down, strict=True):
        pair.client.send_message(channel, one)
        pair.server.send_message(channel, other)
        told = pair.run()
        assert (values(told[1]), values(told[0])) == ([one], [other])
        pair.client.send_credit(channel, pair.client.channel(channel).received)
        pair.server.send_credit(channel, pair.server.channel(channel).received)
        pair.run()
    assert not pair.client.channel(channel).kept


def test_a_sender_stops_at_the_receivers_window() -> None:
    pair, channel = joined()
    count = 0
    while pair.client.can_send(channel, 984):
        pair.client.send_message(channel, bytes(984))
        count += 1
    assert count == 40
    with pytest.raises(LocalProtocolError, match="beyond the window"):
        pair.client.send_message(channel, b"x" * 984)
    pair.run()
    assert not pair.client.can_send(channel, 984)
    pair.server.send_credit(channel, 10)
    assert pair.run()[0] == [events.Writable(channel, 10)]
    assert pair.client.can_send(channel, 9_984)
    with pytest.raises(LocalProtocolError, match="was not received"):
        pair.server.send_credit(channel, 41)


def test_each_end_closes_its_own_direction() -> None:
    pair, channel = joined()
    pair.client.send_message(channel, b"last")
    pair.client.send_close(channel)
    _, told = pair.run()
    assert told[-1] == events.PeerClosed(channel)
    with pytest.raises(LocalProtocolError):
        pair.client.send_message(channel, b"more")
    pair.server.send_message(channel, b"answer")
    pair.server.send_close(channel)
    told, _ = pair.run()
    assert values(told) == [b"answer"]
    pair.server.send_credit(channel, 1)
    pair.run()
    assert pair.server.session.channels
    pair.client.send_credit(channel, 1)
    pair.run()
    assert not pair.client.session.channels
    assert not pair.server.session.channels


def test_a_reset_ends_both_directions_and_what_crosses_it_is_dropped() -> None:
    pair, channel = joined()
    pair.client.send_message(channel, b"crossing")
    pair.server.send_reset(channel, "slow", "no more")
    told = pair.run()
    assert told == ([events.ChannelEnded(channel, "slow", "no more")], [])
    assert not pair.client.session.channels


def test_a_channel_that_is_refused_is_gone() -> None:
    pair = Pair()
    pair.greet()
    channel = pair.client.send_open("nobody", "s32")
    pair.run()
    pair.server.send_refused(channel, "not-found", "no such endpoint")
    assert pair.run()[0] == [events.Refused(channel, 0, "not-found", "no such endpoint")]
    assert not pair.client.session.channels


@pytest.mark.parametrize("lost_after", range(0, 60, 7))
def test_no_message_is_lost_or_repeated_whatever_the_connection_loses(lost_after: int) -> None:
    """Both ends send, the wire breaks after some bytes each way, and they go on."""
    pair, channel = joined()
    got: tuple[list[bytes], list[bytes]] = ([], [])
    for number in range(3):
        pair.client.send_message(channel, b"up%d" % number)
        pair.server.send_message(channel, b"down%d" % number)
    got[1].extend(values(pair.server.receive_data(pair.client.data_to_send()[:lost_after])))
    got[0].extend(values(pair.client.receive_data(pair.server.data_to_send()[: 60 - lost_after])))
    if got[1]:
        pair.server.send_credit(channel, len(got[1]))  # lost as well
    pair.client.send_close(channel)
    pair.lose()
    second, told = again(pair, TINY)
    got[0].extend(values(told))
    got[1].extend(values(second.told_early))
    second.server.send_message(channel, b"down3")
    got[0].extend(values(second.run()[0]))
    assert got[1] == [b"up0", b"up1", b"up2"]
    assert got[0] == [b"down0", b"down1", b"down2", b"down3"]


def test_gaps_are_for_topics_that_drop_and_tell_how_many() -> None:
    pair, channel = joined(policy=Policy.DROP_OLDEST)
    pair.server.send_message(channel, b"first")
    pair.server.channel(channel).skip(4)
    pair.server.send_message(channel, b"later")
    told, _ = pair.run()
    assert [event.missed for event in told if isinstance(event, events.Message)] == [0, 4]


def test_a_flexible_end_moves_to_another_host_and_nothing_is_lost() -> None:
    """From MOVE to the next host: what was taken stays, what was not goes along, numbers go on."""
    pair, channel = joined()
    for text in (b"taken", b"not taken"):
        pair.client.send_message(channel, text)
    pair.server.send_message(channel, b"from the first host")
    pair.run()
    pair.server.send_credit(channel, 1)
    pair.client.send_move(channel, "edge-2")
    pair.client.send_message(channel, b"while it moves")
    _, told = pair.run()
    assert told == [events.MoveAsked(channel, "edge-2")]
    position = pair.server.send_moved(channel, "edge-2:9000", b"ticket")
    assert position == Position(received=1, sent=1)
    told, ended = pair.run()
    assert ended == [events.ChannelEnded(channel, "moved", "")]
    assert not pair.client.session.channels
    assert not pair.server.session.channels
    moved = told[-1]
    assert isinstance(moved, events.Moved)
    assert (moved.endpoint, moved.ticket, moved.position) == ("edge-2:9000", b"ticket", position)
    check_next_host(moved, position)


def check_next_host(moved: events.Moved, position: Position) -> None:
    """The next host goes on where the first one stopped."""
    there = Pair(client_limits=TINY, server_limits=TINY)
    there.greet()
    channel = there.client.send_reopen(moved.channel, moved.ticket)
    _, asked = there.run()
    assert asked == [
        events.ChannelAsked(
            channel, Kind.ENDPOINT, Policy.BLOCK, "sensor", "list<f32>", position.sent, b"ticket"
        )
    ]
    with pytest.raises(LocalProtocolError, match="refuse it"):
        there.server.send_opened(channel, Position(1, 7))
    there.server.send_opened(channel, position)
    there.server.send_message(channel, b"from the second host")
    told, server_told = there.run()
    assert values(server_told) == [b"not taken", b"while it moves"]
    assert [event.sequence for event in told if isinstance(event, events.Message)] == [2]


def test_a_move_that_is_refused_leaves_all_as_it_was() -> None:
    pair, channel = joined()
    pair.client.send_move(channel, "nowhere")
    pair.client.send_message(channel, b"while it would move")
    assert values(pair.run()[1]) == []
    pair.server.send_refused(channel, "busy", "no room there")
    told, server_told = pair.run()
    assert told == [events.MoveRefused(channel, "busy", "no room there")]
    assert values(server_told) == [b"while it would move"]


def test_a_close_that_crosses_a_move_leaves_the_channel_half_closed() -> None:
    pair, channel = joined()
    pair.client.send_move(channel, "edge-2")
    pair.client.send_message(channel, b"held")
    pair.server.send_close(channel)
    told, server_told = pair.run()
    assert told[0] == events.PeerClosed(channel)
    assert values(server_told) == [b"held"]
    assert pair.client.channel(channel).state is ChannelState.SERVER_CLOSED


def test_a_move_goes_on_when_its_connection_is_lost_before_the_client_knows() -> None:
    pair, channel = joined()
    pair.server.send_message(channel, b"before")
    pair.client.send_move(channel, "edge-2")
    pair.carry(pair.client, pair.server)
    pair.server.send_moved(channel, "edge-2:9000", b"ticket")
    pair.lose()
    _, told = again(pair, TINY)
    assert values(told) == [b"before"]
    assert isinstance(told[-1], events.Moved)
    assert told[-1].position == Position(0, 1)


def test_a_channel_whose_opening_was_lost_opens_again() -> None:
    pair = Pair()
    pair.greet()
    channel = pair.client.send_open("sensor", "s32")
    pair.run()
    pair.server.send_opened(channel)
    pair.lose()
    second, told = again(pair)
    assert told == [events.Welcomed(1, True), events.ChannelOpened(channel), events.Writable(channel, 0)]
    second.client.send_message(channel, b"1234")
    assert values(second.run()[1]) == [b"1234"]


def test_a_channel_the_client_gave_up_ends_at_the_server() -> None:
    pair, channel = joined()
    pair.client.send_reset(channel, "done")
    pair.lose()
    second = Pair(client_session=pair.client.session, server_session=pair.server.session)
    second.greet()
    assert second.lost == [events.ChannelEnded(channel, "reset", "")]
    assert isinstance(second.server.session, ServerSession)
    assert not second.server.session.channels


def test_a_next_host_with_a_smaller_window_gets_no_more_than_that_at_once() -> None:
    pair, channel = joined()
    for number in range(10):
        pair.client.send_message(channel, b"%d" % number)
    pair.run()
    position = pair.server.send_moved(channel, "edge-2:9000", b"ticket")
    moved = pair.run()[0][-1]
    assert isinstance(moved, events.Moved)
    there = Pair(client_limits=TINY, server_limits=replace(TINY, window_bytes=50))
    there.greet()
    again_id = there.client.send_reopen(moved.channel, moved.ticket)
    there.run()
    there.server.send_opened(again_id, position)
    got: list[bytes] = []
    while news := values(there.run()[1]):
        got += news
        assert len(news) <= 2
        there.server.send_credit(again_id, len(got))
    assert got == [b"%d" % number for number in range(10)]


def test_what_a_flexible_end_says_while_it_is_asked_to_move_arrives() -> None:
    pair, channel = joined()
    pair.client.send_move(channel, "edge-2")
    pair.run()
    pair.server.send_message(channel, b"last words")
    pair.server.send_moved(channel, "edge-2:9000", b"ticket")
    told, _ = pair.run()
    assert values(told) == [b"last words"]
    assert isinstance(told[-1], events.Moved)


def test_a_moved_channel_whose_opening_was_lost_opens_again() -> None:
    pair, channel = joined()
    pair.client.send_message(channel, b"taken")
    pair.run()
    pair.server.send_credit(channel, 1)
    position = pair.server.send_moved(channel, "edge-2:9000", b"ticket")
    moved = pair.run()[0][-1]
    assert isinstance(moved, events.Moved)
    there = Pair(client_limits=TINY, server_limits=TINY)
    there.greet()
    reopened = there.client.send_reopen(moved.channel, moved.ticket)
    there.run()
    there.server.send_opened(reopened, position)
    there.lose()
    assert events.ChannelOpened(reopened) in again(there, TINY)[1]
