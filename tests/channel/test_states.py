"""The tables of states: complete, without contradictions, and really what two ends go through."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lawow.channel import events
from lawow.channel.frames import Op
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.sessions import ServerSession
from lawow.channel.states import (
    CALL,
    CHANNEL,
    CONNECTION,
    CallState,
    ChannelState,
    ConnectionState,
    Direction,
    Role,
    Row,
    table_of,
)
from tests.channel.test_connection import SMALL
from tests.channel.wires import Pair

MACHINES: list[tuple[dict[Any, Any], type[Enum]]] = [
    (CONNECTION, ConnectionState),
    (CALL, CallState),
    (CHANNEL, ChannelState),
]


@pytest.mark.parametrize(("table", "states"), MACHINES)
def test_every_state_is_reached_by_both_ends(table: dict[Any, Any], states: type[Enum]) -> None:
    first = next(iter(states))
    for role in Role:
        found = {first}
        queue = deque(found)
        while queue:
            state = queue.popleft()
            news = {then for (of, at, _, _), then in table.items() if (of, at) == (role, state)} - found
            found |= news
            queue.extend(news)
        assert found == set(states)


@pytest.mark.parametrize(("table", "states"), MACHINES)
def test_what_one_end_sends_the_other_may_receive(table: dict[Any, Any], states: type[Enum]) -> None:
    for (role, state, direction, event), then in table.items():
        if direction is Direction.SEND:
            assert table[role.other, state, Direction.RECEIVE, event] is then


def test_events_are_named_after_operations() -> None:
    for table, _ in MACHINES:
        for _, _, _, event in table:
            assert event == "LAST" or event.removesuffix("_PART") in Op.__members__


def test_rows_that_disagree_are_found() -> None:
    rows = [Row(CallState.IDLE, Role.CLIENT, "CALL", then) for then in (CallState.RUNNING, CallState.DONE)]
    with pytest.raises(ValueError, match="two rows"):
        table_of(tuple(rows))


class Ends(RuleBasedStateMachine):
    """Both owners do whatever they may, bytes travel when they like, connections break, channels move.

    Nothing may be refused by the other end. At the end every call has one outcome, and every channel's
    messages arrived in order, each once.
    """

    @initialize()
    def connect(self) -> None:
        self.pair = Pair(client_limits=SMALL, server_limits=SMALL)
        self.pair.greet()
        self.open_calls: set[int] = set()
        self.at_server: dict[int, str] = {}
        self.outcomes: dict[int, int] = {}
        self.channels: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.moves: list[tuple[ChannelEnd, bytes]] = []
        self.reopened: dict[int, tuple[ChannelEnd, bytes]] = {}
        self.tickets: dict[bytes, tuple[str, Position]] = {}
        self.asked: dict[int, events.ChannelAsked] = {}
        self.asked_moves: set[int] = set()
        self.sent: dict[tuple[str, Role], list[int]] = {}
        self.got: dict[tuple[str, Role], list[int]] = {}
        self.counter = 0

    def take(self, role: Role, told: list[events.Event]) -> None:
        """Do what an owner does at once."""
        for event in told:
            match event:
                case events.FunctionAsked() | events.Called():
                    self.at_server[event.id] = type(event).__name__
                case events.Returned() | events.Bound() | events.Failed() | events.NotStarted():
                    self.outcomes[event.id] = self.outcomes.get(event.id, 0) + 1
                case events.Refused() | events.Unknown():
                    self.outcomes[event.id] = self.outcomes.get(event.id, 0) + 1
                case events.ChannelAsked():
                    self.asked[event.id] = event
                case events.MoveAsked():
                    self.asked_moves.add(event.id)
                case events.ChannelEnded(code="not-opened") if event.id in self.reopened:
                    self.moves.append(self.reopened.pop(event.id))
                case events.Moved():
                    self.moves.append((event.channel, event.ticket))
                case events.Message():
                    self.deliver(role, event)

    def deliver(self, role: Role, event: events.Message) -> None:
        """Note a message; of what comes after a move, only what the former host had not taken is new."""
        end = self.pair.client if role is Role.CLIENT else self.pair.server
        self.got.setdefault((self.names[event.id], role), []).append(int(bytes(event.value)))
        channel = end.session.channels.get(event.id)
        if channel is not None and channel.state is not ChannelState.MOVED:
            end.send_credit(event.id, event.sequence)

    @rule()
    def carry_up(self) -> None:
        self.take(Role.SERVER, self.pair.carry(self.pair.client, self.pair.server))

    @rule()
    def carry_down(self) -> None:
        self.take(Role.CLIENT, self.pair.carry(self.pair.server, self.pair.client))

    @precondition(lambda self: self.pair.client.can_call(0))
    @rule(size=st.sampled_from([0, 8, 20_000, 50_000]), bind=st.booleans())
    def call(self, size: int, bind: bool) -> None:
        client = self.pair.client
        if bind and client.session.bindings < SMALL.bindings:
            self.open_calls.add(client.send_bind("t", "e", ">"))
        elif client.can_call(size):
            self.open_calls.add(client.send_call(1, bytes(size)))

    @precondition(lambda self: self.pair.client.session.calls)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.pair.client.session.calls)))
        if self.pair.client.session.calls[call_id].state is not CallState.STOPPING:
            self.pair.client.send_cancel(call_id)

    @precondition(lambda self: self.at_server)
    @rule(data=st.data(), size=st.sampled_from([0, 8, 40_000]), how=st.sampled_from(["", "refuse", "fail"]))
    def answer(self, data: st.DataObject, size: int, how: str) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.at_server)))
        kind = self.at_server.pop(call_id)
        server = self.pair.server
        if how == "refuse":
            server.send_refused(call_id, "busy", "")
        elif kind == "FunctionAsked":
            server.send_bound(call_id)
        elif how == "fail":
            server.send_failed(call_id, "deadline", "")
        else:
            server.send_result(call_id, bytes(size))

    @precondition(lambda self: self.pair.server.session.calls)
    @rule(data=st.data())
    def refuse_early(self, data: st.DataObject) -> None:
        calls = self.pair.server.session.calls
        sending = [call_id for call_id, call in calls.items() if call.state is CallState.SENDING]
        if sending:
            self.pair.server.send_refused(data.draw(st.sampled_from(sending)), "too-large", "")

    @precondition(lambda self: len(self.pair.client.session.channels) < 3)
    @rule()
    def open(self) -> None:
        self.counter += 1
        name = f"channel-{self.counter}"
        self.names[self.pair.client.send_open(name, "string")] = name

    @precondition(lambda self: self.asked)
    @rule()
    def accept(self) -> None:
        channel_id, asked = self.asked.popitem()
        if channel_id in self.pair.server.session.channels:
            ticket = self.tickets.pop(asked.ticket, None)
            self.pair.server.send_opened(channel_id, ticket[1] if ticket else None)

    @rule(data=st.data(), role=st.sampled_from(list(Role)))
    def say(self, data: st.DataObject, role: Role) -> None:
        end = self.pair.client if role is Role.CLIENT else self.pair.server
        ready = [key for key, channel in end.session.channels.items() if channel.state in self.talking(role)]
        if not ready:
            return
        channel_id = data.draw(st.sampled_from(ready))
        self.counter += 1
        value = b"%d" % self.counter
        if end.can_send(channel_id, len(value)):
            end.send_message(channel_id, value)
            self.sent.setdefault((end.channel(channel_id).name, role.other), []).append(self.counter)

    def talking(self, role: Role) -> set[ChannelState]:
        """States in which an end may send messages."""
        if role is Role.CLIENT:
            return {ChannelState.OPEN, ChannelState.MOVING, ChannelState.SERVER_CLOSED}
        return {ChannelState.OPEN, ChannelState.MOVING, ChannelState.CLIENT_CLOSED}

    @rule(data=st.data(), role=st.sampled_from(list(Role)), end=st.sampled_from(["close", "move", "moved"]))
    def change(self, data: st.DataObject, role: Role, end: str) -> None:
        at = self.pair.client if role is Role.CLIENT else self.pair.server
        ready = [key for key, channel in at.session.channels.items() if channel.state is ChannelState.OPEN]
        if not ready:
            return
        channel_id = data.draw(st.sampled_from(ready))
        if end == "close":
            at.send_close(channel_id)
        elif role is Role.CLIENT:
            self.pair.client.send_move(channel_id, "elsewhere")
        elif end == "moved":
            self.move_away(channel_id)

    @precondition(lambda self: self.asked_moves)
    @rule(stay=st.booleans())
    def answer_move(self, stay: bool) -> None:
        channel_id = self.asked_moves.pop()
        channel = self.pair.server.session.channels.get(channel_id)
        if channel is None or channel.state is not ChannelState.MOVING:
            return
        if stay:
            self.pair.server.send_refused(channel_id, "busy", "")
        else:
            self.move_away(channel_id)

    def move_away(self, channel_id: int) -> None:
        self.counter += 1
        name = self.pair.server.channel(channel_id).name
        ticket = b"%d" % self.counter
        self.tickets[ticket] = (name, self.pair.server.send_moved(channel_id, "here", ticket))

    @precondition(lambda self: self.moves and self.pair.client.state is ConnectionState.OPEN)
    @rule()
    def reopen(self) -> None:
        """The next host is the same server: nothing of the channel is left there but the ticket."""
        channel, ticket = self.moves.pop()
        channel_id = self.pair.client.send_reopen(channel, ticket)
        self.names[channel_id] = channel.name
        self.reopened[channel_id] = (channel, ticket)

    @rule()
    def lose(self) -> None:
        self.pair.lose()
        for event in self.pair.lost:
            assert isinstance(event, events.Cancelled)
        before = self.pair
        self.pair = Pair(
            client_limits=SMALL,
            server_limits=SMALL,
            client_session=before.client.session,
            server_session=before.server.session,
        )
        told = self.pair.greet()
        self.take(Role.CLIENT, told)
        self.take(Role.SERVER, self.pair.told_early)

    @invariant()
    def nothing_arrives_twice_or_out_of_order(self) -> None:
        assert all(count == 1 for count in self.outcomes.values())
        for key, got in self.got.items():
            assert got == self.sent[key][: len(got)]

    def teardown(self) -> None:
        """Finish everything: then every call has its outcome, and every message has arrived."""
        if not hasattr(self, "pair"):
            return
        for _ in range(20):
            while self.at_server:
                call_id, kind = self.at_server.popitem()
                if kind == "FunctionAsked":
                    self.pair.server.send_bound(call_id)
                else:
                    self.pair.server.send_result(call_id, b"")
            while self.asked:
                self.accept()
            while self.asked_moves:
                self.answer_move(True)
            while self.moves:
                self.reopen()
            told = self.pair.run()
            self.take(Role.CLIENT, told[0])
            self.take(Role.SERVER, told[1])
        assert self.outcomes.keys() >= self.open_calls
        assert not self.pair.client.session.calls
        assert not self.pair.server.session.calls
        for key, sent in self.sent.items():
            assert self.got.get(key, []) == sent
        assert isinstance(self.pair.server.session, ServerSession)


TestEnds = Ends.TestCase
TestEnds.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, derandomize=True, report_multiple_bugs=False
)
