"""After a lost connection every call has one outcome, and messages go on without loss or repetition."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lawow.channel import events
from lawow.channel.sessions import ServerSession
from lawow.errors import LocalProtocolError, RemoteProtocolError
from lawow.limits import CHANNEL, ChannelLimits
from tests.channel.test_connection import SMALL, opened
from tests.channel.wires import TOKEN, Pair


def again(pair: Pair, limits: ChannelLimits = CHANNEL) -> tuple[Pair, list[events.Event]]:
    """Connect anew with the sessions of a pair that lost its connection; return what the client is told."""
    second = Pair(
        client_limits=limits,
        server_limits=limits,
        client_session=pair.client.session,
        server_session=pair.server.session,
    )
    return second, second.greet()


@pytest.mark.promise("F6")
def test_the_server_tells_of_every_call_what_became_of_it() -> None:
    pair, function = opened()
    running, kept, forgotten, unseen = (pair.client.send_call(function, b"") for _ in range(4))
    for call in (running, kept, forgotten):
        assert pair.client.session.calls[call]
    data = pair.client.data_to_send()
    pair.server.receive_data(data[: 3 * 20])
    pair.server.send_result(kept, b"kept")
    pair.server.send_result(forgotten, b"forgotten")
    pair.server.session.kept.drop(forgotten)
    pair.lose()
    second, told = again(pair)
    assert told == [
        events.Welcomed(1, True),
        events.Unknown(forgotten),
        events.NotStarted(unseen),
        events.Returned(kept, 0, 0, b"kept"),
    ]
    second.server.send_result(running, b"late")
    assert second.run()[0] == [events.Returned(running, 0, 0, b"late")]
    assert not second.client.session.calls


def test_an_outcome_that_comes_while_the_client_is_away_waits_for_it() -> None:
    pair, function = opened()
    call, other = pair.client.send_call(function, b""), pair.client.send_call(function, b"")
    pair.run()
    pair.lose()
    pair.server.send_result(call, b"1")
    second, told = again(pair)
    assert told == [events.Welcomed(1, True), events.Returned(call, 0, 0, b"1")]
    pair.server.send_result(other, b"2")  # by the object that had the call
    assert second.run()[0] == [events.Returned(other, 0, 0, b"2")]


def test_the_former_connection_is_not_believed_any_more() -> None:
    pair, function = opened()
    pair.client.send_call(function, b"")
    late = pair.client.data_to_send()
    pair.lose()
    second, told = again(pair)
    assert isinstance(told[1], events.NotStarted)
    assert pair.server.receive_data(late) == []
    assert not second.server.session.calls


@pytest.mark.parametrize("cut_at", [0, 11, 5_000, 16_404, 40_000])
def test_arguments_that_came_in_part_were_never_seen(cut_at: int) -> None:
    pair, function = opened(client_limits=SMALL, server_limits=SMALL)
    call = pair.client.send_call(function, bytes(60_000))
    pair.server.receive_data(pair.client.data_to_send()[:cut_at])
    pair.lose()
    second, told = again(pair, SMALL)
    assert told == [events.NotStarted(call), events.Welcomed(1, True)]
    assert second.client.can_call(200_000)
    assert second.server.session.call_bytes == 0


def test_memory_for_arguments_that_never_came_whole_can_be_let_go() -> None:
    memory = bytearray(60_000)
    pair, function = opened(payload_buffer=lambda *_: memoryview(memory))
    call = pair.client.send_call(function, bytes(60_000))
    pair.server.receive_data(pair.client.data_to_send()[:40_000])
    pair.lose()
    assert pair.lost == [events.Cancelled(call)]
    assert again(pair)[1] == [events.Welcomed(1, True), events.NotStarted(call)]


def test_a_result_that_came_in_part_comes_whole() -> None:
    limits = replace(SMALL, kept_bytes=200_000)
    pair, function = opened(client_limits=limits, server_limits=limits)
    call = pair.client.send_call(function, b"")
    pair.run()
    results = bytes(range(250)) * 400
    pair.server.send_result(call, results)
    pair.client.receive_data(pair.server.data_to_send())
    pair.lose()
    _, told = again(pair, limits)
    assert [bytes(event.results) for event in told if isinstance(event, events.Returned)] == [results]


def test_without_its_session_a_client_knows_that_it_knows_nothing() -> None:
    pair, function = opened()
    call = pair.client.send_call(function, b"")
    channel = pair.client.send_open("a", "s32")
    pair.run()
    pair.lose()
    second = Pair(client_session=pair.client.session, server_session=ServerSession(b"another"))
    assert second.greet() == [
        events.Welcomed(1, False),
        events.Unknown(call),
        events.ChannelEnded(channel, "session-lost", ""),
    ]
    assert second.client.send_bind("t", "e", ">") == channel + 1


def test_a_session_in_use_is_welcome_only_to_its_client() -> None:
    pair, _ = opened()
    pair.lose()
    other = Pair(server_session=pair.server.session)
    other.client.send_hello(TOKEN)
    other.run()
    with pytest.raises(LocalProtocolError, match="only to a client that asks for it"):
        other.server.send_welcome(pair.server.session)


@pytest.mark.promise("F6")
def test_a_call_is_never_run_twice() -> None:
    pair, function = opened()
    pair.client.send_call(function, b"")
    data = pair.client.data_to_send()
    pair.server.receive_data(data)
    with pytest.raises(RemoteProtocolError, match="each must be larger"):
        pair.server.receive_data(data)
