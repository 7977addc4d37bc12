"""Calls to an edge that is gone behind a proxy that accepts: none waits until the session is given up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lawow.device import data_session
from lawow.device.comeback import Comeback
from lawow.device.data_session import DataSession, dial
from lawow.device.edge_client import EdgeClient
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_module import ElasticModule, patience
from lawow.device.emulation.proxy import ShapingProxy
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Place, Remote
from lawow.errors import HostLost, OutcomeUnknown
from tests.edge.builders import all_sorts
from tests.server.running import RunningEdge, running_edge, until


@dataclass
class Behind:
    """An edge behind a proxy, and a module there."""

    edge: RunningEdge
    module: ElasticModule

    @property
    def session(self) -> DataSession:
        away = self.module._away
        assert away is not None
        assert away.data is not None
        return away.data

    def lose(self) -> DataSession:
        """Kill the edge; the proxy goes on taking connections. Return the session, which looks for it."""
        session = self.session
        self.edge.kill()
        until(lambda: not session.is_connected)
        return session


@pytest.fixture
def behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Behind]:
    """An edge of its own, which is reached through proxies."""
    with ExitStack() as stack:
        edge = stack.enter_context(running_edge(tmp_path / "data"))
        front = stack.enter_context(ShapingProxy(*edge.address))
        client = stack.enter_context(EdgeClient(f"http://127.0.0.1:{front.port}", edge.token("walker")))
        ways: list[ShapingProxy] = []

        def over_proxy(host: str, port: int, pin: str | None, *_: float) -> object:
            if not ways:
                ways.append(stack.enter_context(ShapingProxy(host, port)))
            return dial("127.0.0.1", ways[0].port, pin)

        monkeypatch.setattr(data_session, "dial", over_proxy)
        module = ElasticModule(all_sorts().wasm)
        module.offload(OffloadHandler(client))
        yield Behind(edge, module)
        module.give_up()


def test_calls_run_here_while_the_session_still_looks_for_the_edge(behind: Behind) -> None:
    """Also functions that must not run twice: nothing of these calls was sent."""
    fib = ElasticFunction(behind.module, "fib", policy=Remote(), idempotent=False)
    assert (fib(10), fib.last_place) == (55, Place.REMOTE)
    session = behind.lose()
    assert [fib(number) for number in range(10)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    assert (fib.last_place, session.is_over) == (Place.LOCAL, False)


def test_a_call_that_was_sent_is_given_up_early_only_if_it_may_be_made_again(behind: Behind) -> None:
    """The module loops there for half a minute; natively it is done at once."""
    loops = [
        ElasticFunction(
            behind.module,
            "loop",
            native=lambda: None,
            policy=Remote(),
            idempotent=is_idempotent,
            deadline_seconds=30,
        )
        for is_idempotent in (True, False)
    ]
    outcomes: list[object] = []

    def knows() -> None:
        with pytest.raises(OutcomeUnknown, match="not declared idempotent"):
            loops[1]()
        outcomes.append("unknown")

    careful = threading.Thread(target=knows)
    careful.start()
    threading.Timer(0.5, behind.edge.kill).start()
    session = behind.session
    assert (loops[0](), loops[0].last_place, session.is_over) == (None, Place.LOCAL, False)
    assert outcomes == []
    careful.join(30)
    assert (outcomes, session.is_over) == (["unknown"], True)


def test_after_a_worker_was_lost_calls_are_on_the_data_plane_again(edge: RunningEdge, tenant: str) -> None:
    """The instance is initialised again beside the calls, which run here meanwhile."""
    with edge.client(tenant) as client:
        module = ElasticModule(all_sorts().wasm)
        module.offload(OffloadHandler(client))
        fib = ElasticFunction(module, "fib", policy=Remote())
        assert (fib(10), fib.last_place) == (55, Place.REMOTE)
        away = module._away
        assert away is not None
        os.kill(edge.workers()[tenant], signal.SIGKILL)
        until(lambda: (fib(10), fib.last_place) == (55, Place.REMOTE) and module._away is not away)
        assert module._away is not None
        assert module._away.data is not None
        assert not module._away.data.is_over
        module.recall()


def test_patience_is_ten_greetings_but_a_second_at_least_and_a_quarter_of_the_calls_time_at_most() -> None:
    assert patience(0.01, 60.0) == 1.0
    assert patience(0.3, 60.0) == pytest.approx(3.0)
    assert patience(5.0, 60.0) == 15.0
    assert patience(0.01, 0.4) == pytest.approx(0.1)
    assert patience(5.0, None) == 2.5


def test_one_try_at_a_time_is_made_and_a_pause_after_each_that_failed() -> None:
    now, tries = 0.0, 0
    is_there, answers = False, threading.Event()

    def find() -> str:
        nonlocal tries
        tries += 1
        assert answers.wait(30)
        if not is_there:
            raise HostLost("nobody there")
        return "found"

    comeback = Comeback(find, clock=lambda: now)
    for _ in range(3):
        with pytest.raises(HostLost, match="is being looked for"):
            comeback.wait(0.0)
    assert tries == 1
    answers.set()
    with pytest.raises(HostLost, match="nobody there"):
        comeback.wait(30.0)
    now = 0.4
    with pytest.raises(HostLost, match="looked for again soon"):
        comeback.wait(30.0)
    now = 0.6
    with pytest.raises(HostLost, match="nobody there"):
        comeback.wait(30.0)
    is_there, now = True, 1.5
    with pytest.raises(HostLost, match="soon"):
        comeback.wait(30.0)
    now = 1.7
    assert (comeback.wait(30.0), comeback.wait(0.0), tries) == ("found", "found", 3)
