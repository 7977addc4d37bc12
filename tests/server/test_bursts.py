"""Quick calls that come together: they end as if they had come alone, also when one of them is not quick.

The client is made by hand here: a burst is what one `sendall` sends.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from lawow.channel.client import ClientConnection
from lawow.channel.events import Bound, Event, Failed, Goodbye, Refused, Returned, Trapped, Welcomed
from lawow.channel.sessions import ClientSession
from tests.edge.builders import module_of
from tests.server.bare import is_closed, open_socket
from tests.server.planes import Plane, number, open_plane, slots
from tests.server.running import RunningEdge, running_edge

FOREVER, TRAP = 0xFFFFFFFF, 0xFFFFFFFE
GUEST = module_of(
    """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
  (func $fall (unreachable))
  (func (export "step") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (if (i32.eq (local.get 0) (i32.const -2)) (then (call $fall)))
    (loop $l (br_if $l (i32.eq (local.get 0) (i32.const -1)))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (i32.ge_s (local.get 0) (i32.const 0))))
    (global.get $n))
  (func (export "leave") (param i32)
    (if (i32.eq (local.get 0) (i32.const 7)) (then (call $exit (i32.const 0))))))"""
)
"""`step` returns how often it has been called, after so many rounds of a loop."""
HALF_A_SECOND = 400_000_000
"""Rounds that take about that."""


@pytest.fixture(scope="module", params=["plain", "tls"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEdge]:
    """An edge that stops no call before its own deadline, however slow the machine is."""
    data = tmp_path_factory.mktemp("bursts") / "data"
    with running_edge(data, data_tls=request.param == "tls", deadline_seconds=30.0) as running:
        yield running


class Caller:
    """A client with a session that can be taken up again; `connection` is the one that it has now."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.session = ClientSession()
        self.events: list[Event] = []
        self.connect()
        self.step, self.leave = self.bind("step", "i>i"), self.bind("leave", "i>")

    def connect(self) -> None:
        """Open a connection, for the same session."""
        self.connection = open_socket(self._plane)
        self.connection.settimeout(20)
        self.link = ClientConnection(self.session)
        self.link.send_hello(self._plane.token.encode())
        self.send()
        assert isinstance(self.next(1)[0], Welcomed)
        self.send()  # what is acknowledged

    def bind(self, export: str, signature: str) -> int:
        """Bind an export of the instance."""
        found = self.link.send_bind(self._plane.target, export, signature)
        self.send()
        assert isinstance(self.next(1)[0], Bound)
        return found

    def send(self) -> None:
        """Send all that is due at once."""
        self.connection.sendall(self.link.data_to_send())

    def burst(self, function: int, *arguments: int, deadline_us: int = 0) -> list[int]:
        """Call with each argument, all at once; return the calls' ids."""
        ids = [self.link.send_call(function, slots(item), deadline_us) for item in arguments]
        self.send()
        return ids

    def next(self, count: int) -> list[Event]:
        """Return so many events that come next."""
        while len(self.events) < count:
            data = self.connection.recv(65536)
            assert data, "the edge has closed the connection"
            self.events += self.link.receive_data(data)
        found, self.events = self.events[:count], self.events[count:]
        return found

    def make_quick(self, function: int) -> None:
        """Call so often, and quickly, that calls which come together are answered together."""
        for _ in range(40):
            self.burst(function, 0)
            assert isinstance(self.next(1)[0], Returned)


@pytest.fixture
def caller(serving: RunningEdge, tenant: str) -> Iterator[Caller]:
    """A client whose calls of `step` have been quick."""
    plane = open_plane(serving, tenant, GUEST)
    made = Caller(plane)
    made.make_quick(made.step)
    yield made
    made.connection.close()
    serving.ask("DELETE", f"/v1/leases/{plane.lease}", tenant)


def counted(events: list[Event]) -> list[int]:
    """Return what `step` returned, of results alone."""
    assert all(isinstance(event, Returned) for event in events), events
    return [number(event.results) for event in events if isinstance(event, Returned)]


def test_calls_of_a_burst_have_their_results_in_order(caller: Caller) -> None:
    ids = caller.burst(caller.step, *[0] * 100)
    events = caller.next(100)
    assert [event.id for event in events if isinstance(event, Returned)] == ids
    assert counted(events) == list(range(41, 141))


def test_a_frame_may_end_anywhere(caller: Caller) -> None:
    for cut in range(0, 90, 7):
        for _ in range(3):
            caller.link.send_call(caller.step, slots(0))
        data = caller.link.data_to_send()
        caller.connection.sendall(data[:cut])
        time.sleep(0.002)
        caller.connection.sendall(data[cut:])
    assert counted(caller.next(39)) == list(range(41, 80))


def test_calls_before_a_slow_one_have_their_results_while_it_runs(caller: Caller) -> None:
    ids = caller.burst(caller.step, 0, 0, FOREVER, 0)
    assert counted(caller.next(2)) == [41, 42]
    caller.link.send_cancel(ids[2])
    caller.send()
    failed = caller.next(1)[0]
    assert isinstance(failed, Failed), failed
    assert (failed.id, failed.code) == (ids[2], "cancelled")


def test_calls_behind_a_slow_one_run_after_it(caller: Caller) -> None:
    caller.burst(caller.step, 0, HALF_A_SECOND, 0, 0)
    assert counted(caller.next(1)) == [41]
    caller.burst(caller.step, 0)
    assert counted(caller.next(4)) == [42, 43, 44, 45]


def test_a_call_behind_a_slow_one_can_be_cancelled_and_never_runs(caller: Caller) -> None:
    ids = caller.burst(caller.step, 3 * HALF_A_SECOND, 0, 0)
    caller.link.send_cancel(ids[1])
    caller.send()
    refused, slow, last = sorted(caller.next(3), key=lambda event: not isinstance(event, Refused))
    assert isinstance(refused, Refused), refused
    assert (refused.id, refused.code) == (ids[1], "cancelled")
    assert counted([slow, last]) == [41, 42]


def test_a_slow_call_is_stopped_at_its_own_deadline(caller: Caller) -> None:
    started = time.monotonic()
    ids = caller.burst(caller.step, 0, FOREVER, deadline_us=1_000_000)
    first, second = caller.next(2)
    assert counted([first]) == [41]
    assert isinstance(second, Failed), second
    assert (second.id, second.code) == (ids[1], "deadline")
    assert 0.9 < time.monotonic() - started < 10  # the edge's own deadline is at 30


def test_a_call_whose_deadline_is_near_may_stand_among_others(caller: Caller) -> None:
    for deadline_us in (0, 5_000_000, 0):
        caller.link.send_call(caller.step, slots(0), deadline_us)
    caller.link.send_call(caller.step, slots(0), 900_000)
    caller.send()
    assert counted(caller.next(4)) == [41, 42, 43, 44]


def test_a_trap_is_that_of_a_call_alone_and_the_next_ones_find_no_instance(
    serving: RunningEdge, tenant: str, caller: Caller
) -> None:
    plane = open_plane(serving, tenant, GUEST)
    alone = Caller(plane)
    alone.burst(alone.step, TRAP)
    expected = alone.next(1)[0]
    alone.connection.close()
    ids = caller.burst(caller.step, 0, TRAP, 0)
    first, trapped, lost = caller.next(3)
    assert counted([first]) == [41]
    assert isinstance(trapped, Trapped), trapped
    assert isinstance(expected, Trapped), expected
    assert trapped.id == ids[1]
    assert (trapped.code, trapped.detail) == (expected.code, expected.detail)
    assert trapped.guest_frames == expected.guest_frames
    assert isinstance(lost, Refused), lost
    assert lost.code == "session-lost"


def test_a_guest_that_ends_itself_with_success_answers_and_is_gone(caller: Caller) -> None:
    caller.make_quick(caller.leave)
    caller.burst(caller.leave, 1, 7, 1)
    stayed, left, lost = caller.next(3)
    assert [event.results for event in (stayed, left) if isinstance(event, Returned)] == [b"", b""]
    assert isinstance(lost, Refused), lost
    assert lost.code == "session-lost"


def test_arguments_that_do_not_fit_are_refused_alone(caller: Caller) -> None:
    for arguments in (slots(0), b"\0" * 4 + b"\1\0\0\0", slots(0), bytes(16), slots(0)):
        caller.link.send_call(caller.step, arguments)
    caller.send()
    events = caller.next(5)
    refused = [event.code for event in events if isinstance(event, Refused)]
    assert refused == ["bad-arguments", "bad-arguments"]
    assert counted([event for event in events if not isinstance(event, Refused)]) == [41, 42, 43]


def test_calls_of_two_functions_may_stand_in_one_burst(caller: Caller) -> None:
    caller.make_quick(caller.leave)
    for function in (caller.step, caller.leave, caller.step, caller.step, caller.leave, caller.step):
        caller.link.send_call(function, slots(1))
    caller.send()
    results = [event.results for event in caller.next(6) if isinstance(event, Returned)]
    assert [number(item) for item in results if item] == [41, 42, 43, 44]
    assert results.count(b"") == 2


def test_what_breaks_the_protocol_behind_a_burst_ends_the_connection(caller: Caller) -> None:
    caller.link.send_call(caller.step, slots(0))
    data = caller.link.data_to_send()
    caller.connection.sendall(data + data)  # an id twice
    end = caller.next(1)[0]
    assert isinstance(end, Goodbye), end
    assert end.code == "protocol-error"
    assert is_closed(caller.connection)


def test_a_burst_outlives_its_connection_and_no_call_runs_twice(caller: Caller) -> None:
    caller.burst(caller.step, 0, 0, HALF_A_SECOND, 0, 0)
    time.sleep(0.1)
    caller.connection.shutdown(socket.SHUT_RDWR)
    caller.connection.close()
    caller.link.connection_lost()
    caller.connect()
    assert sorted(counted(caller.next(5))) == [41, 42, 43, 44, 45]
    caller.burst(caller.step, 0)
    assert counted(caller.next(1)) == [46]


def test_results_of_a_burst_can_be_had_again_after_a_loss(caller: Caller) -> None:
    caller.burst(caller.step, *[0] * 50)
    time.sleep(0.3)  # the edge has answered by now, and nobody has read it
    caller.connection.close()
    caller.link.connection_lost()
    caller.connect()
    assert counted(caller.next(50)) == list(range(41, 91))
