"""Calls over the data plane of a real edge: values, traps, deadlines, many at a time, cut connections."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lawow.device.data_session import DataSession, dial
from lawow.device.edge_client import EdgeProblem
from lawow.device.offload_handler import Offloaded, OffloadHandler
from lawow.errors import (
    FormatError,
    GuestTrap,
    HostLost,
    LimitExceeded,
    OutcomeUnknown,
    RemoteProtocolError,
    Unauthorized,
)
from tests.conftest import ROOT
from tests.edge.builders import Module, all_sorts, module_of, named
from tests.server.running import RunningEdge

ARRAYS = named((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())
COUNTER = module_of(
    """(module (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
)


class Wire:
    """A TCP proxy to the endpoint of a lease, which cuts connections after random numbers of bytes."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._chance = random.Random(seed)
        self.cuts = 0
        self.is_cutting = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        left = self._chance.randrange(200, 1500)
        with near, far, contextlib.suppress(OSError):
            while left > 0 or not self.is_cutting:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(left if self.is_cutting else 4096)
                    if not data:
                        return
                    (far if source is near else near).sendall(data)
                    left -= len(data)
            self.cuts += 1

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@contextlib.contextmanager
def leased(edge: RunningEdge, tenant: str, module: Module) -> Iterator[Offloaded]:
    """Offload a module, and recall it."""
    with edge.client(tenant) as client:
        handler = OffloadHandler(client)
        offers = handler.request(module.wasm)
        item = handler.select(offers, offers.offers[0])
        yield item
        handler.recall(item, with_state=False)


@contextlib.contextmanager
def session_of(item: Offloaded) -> Iterator[DataSession]:
    """A session over the lease's own endpoint."""
    assert item.endpoint is not None
    with DataSession.of_endpoint(item.endpoint, item.token) as session:
        yield session


def test_values_traps_refusals_and_deadlines_are_those_of_a_call_over_http(
    edge: RunningEdge, tenant: str
) -> None:
    with leased(edge, tenant, all_sorts()) as item, session_of(item) as session:
        target = f"sha256:{item.digest}"
        assert session.call(target, "mixed", "iIfF>FfIi", [-1, 2**63 - 1, 0.5, 0.1])[0] == (
            0.1,
            0.5,
            2**63 - 1,
            -1,
        )
        assert session.call(target, "nothing", ">", []) == ((), {})
        with pytest.raises(GuestTrap) as trap:
            session.call(target, "divide", "ii>i", [1, 0])
        assert trap.value.code == "integer-divide-by-zero"
        with pytest.raises(FormatError):
            session.call(target, "divide", "ii>i", [1])
        with pytest.raises(EdgeProblem) as problem:
            session.call(target, "absent", ">", [])
        assert problem.value.code == "not-found"
        started = time.monotonic()
        with pytest.raises(LimitExceeded):
            session.call(target, "loop", ">", [], deadline_seconds=0.2)
        assert time.monotonic() - started < 5


def test_lists_travel_both_ways_also_in_parts(edge: RunningEdge, tenant: str) -> None:
    """A list of 1.2 MB is larger than a frame."""
    numbers = list(range(300_000))
    with leased(edge, tenant, ARRAYS) as item, session_of(item) as session:
        results, changed = session.call(f"sha256:{item.digest}", "sum", "&[i>i", [[1, 2, 3]])
        assert (results, changed) == ((6,), {0: [1, 2, 3]})
        _, changed = session.call(f"session:{item.lease}", "reverse", "&[i>", [numbers])
        assert changed[0] == numbers[::-1]


def test_threads_share_a_session(edge: RunningEdge, tenant: str) -> None:
    """Each gets its own outcome; the instance counts each call once."""
    with leased(edge, tenant, COUNTER) as item, session_of(item) as session:

        def call(_: int) -> object:
            return session.call(f"session:{item.lease}", "next", ">i", [])[0][0]

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(call, range(400)))
        assert sorted(map(int, map(str, found))) == list(range(1, 401))


def test_no_call_runs_twice_and_none_is_lost_however_often_the_connection_is(
    edge: RunningEdge, tenant: str
) -> None:
    """Cut at random bytes: every call has its outcome, and the instance has counted each once."""
    with leased(edge, tenant, COUNTER) as item:
        assert item.endpoint is not None
        wire = Wire(int(str(item.endpoint["port"])), seed=7)
        found: list[object] = []
        with DataSession(lambda: dial("127.0.0.1", wire.port, None), item.token.encode()) as session:
            while len(found) < 300:
                try:
                    found += session.call(f"session:{item.lease}", "next", ">i", [])[0]
                except HostLost:
                    continue  # it was not started: made again
        wire.close()
        assert found == list(range(1, 301))
        assert wire.cuts >= 5


def test_wrong_tokens_and_endpoints_are_refused(edge: RunningEdge, tenant: str) -> None:
    with leased(edge, tenant, COUNTER) as item:
        assert item.endpoint is not None
        with pytest.raises(Unauthorized):
            DataSession.of_endpoint(item.endpoint, "x" * 43)
        for wrong in ({"port": "1"}, {"host": None}, {"protocol": "lawow/9"}):
            with pytest.raises(RemoteProtocolError):
                DataSession.of_endpoint({**item.endpoint, **wrong}, item.token)


def test_a_server_that_says_what_it_may_not_is_left(edge: RunningEdge) -> None:
    """Garbage in place of WELCOME ends the session with an error, not with a thread that waits for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            near, _ = listener.accept()
            with near:
                near.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                near.recv(1 << 16)
            listener.close()

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(HostLost):
            DataSession(lambda: dial("127.0.0.1", port, None), b"token")
        thread.join()


def test_a_host_that_accepts_and_hangs_up_is_called_a_few_times_and_given_up(
    edge: RunningEdge, tenant: str
) -> None:
    """As behind a proxy whose server has gone: it would be called thousands of times without a pause."""
    sockets: list[socket.socket] = []
    with leased(edge, tenant, COUNTER) as item, socket.create_server(("127.0.0.1", 0)) as rude:
        assert item.endpoint is not None
        port = int(str(item.endpoint["port"]))

        def connect() -> socket.socket:
            if not sockets:
                sockets.append(dial("127.0.0.1", port, None))
            else:
                sockets.append(socket.create_connection(rude.getsockname()))
                rude.accept()[0].close()
            return sockets[-1]

        with DataSession(connect, item.token.encode(), resume_seconds=1.5) as session:
            assert session.call(f"session:{item.lease}", "next", ">i", [])[0] == (1,)
            sockets[0].shutdown(socket.SHUT_RDWR)
            with pytest.raises((HostLost, OutcomeUnknown)):  # by whether it was sent before
                session.call(f"session:{item.lease}", "next", ">i", [])
        assert 3 <= len(sockets) - 1 <= 8
