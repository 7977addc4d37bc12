"""Hedging: who wins, what becomes of the other one, and what is learned. Events, not times, decide here."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from lawow.channel.documents import Value
from lawow.device.cancel import Cancel
from lawow.device.policy import Place
from lawow.device.resilience import Hedge
from lawow.device.resilience.hedge import Ended
from lawow.errors import GuestTrap, HostLost, LawowError, UsageError
from tests.server.running import until

KEY = ("00", "f")
Values = Sequence[Value]


def trained(**options: int) -> Hedge:
    """A hedge that has seen twenty answers in no time, so that it waits for the least time it may."""
    hedge = Hedge(**options)
    for _ in range(20):
        hedge.learn(KEY, 0.0)
    return hedge


def at_once(values: Values, cancel: Cancel) -> str:
    return "here"


def never_asked(values: Values, cancel: Cancel) -> str:
    raise AssertionError("nothing is run here")


class Edge:
    """An edge that answers when it is let, or is told to stop; `was_cancelled` tells which."""

    def __init__(self, error: LawowError | None = None) -> None:
        self.may_end = threading.Event()
        self.was_cancelled = threading.Event()
        self._error = error

    def __call__(self, values: Values, cancel: Cancel) -> str:
        cancel.on_set(self.was_cancelled.set)
        cancel.on_set(self.may_end.set)
        assert self.may_end.wait(30)
        if self._error is not None:
            raise self._error
        return "there"


def test_the_delay_is_the_quantile_of_the_latest_answers() -> None:
    hedge = Hedge()
    for hundredth in range(1, 20):
        hedge.learn(KEY, hundredth / 100)
    assert hedge.delay(KEY) is None
    hedge.learn(KEY, 0.20)
    assert hedge.delay(KEY) == 0.19
    assert hedge.delay(("00", "g")) is None
    for _ in range(128):
        hedge.learn(KEY, 0.0)
    assert hedge.delay(KEY) == 0.001


def test_without_knowledge_nothing_is_hedged() -> None:
    hedge = Hedge()
    edge = Edge()
    threading.Timer(0.05, edge.may_end.set).start()
    ended = hedge.run(KEY, (), edge, never_asked)
    assert (ended.place, ended.result, hedge.hedged) == (Place.REMOTE, "there", 0)


def test_a_slow_edge_loses_and_is_told_to_stop() -> None:
    hedge, edge = trained(), Edge()
    ended = hedge.run(KEY, (), edge, at_once)
    assert (ended.place, ended.result, hedge.hedged) == (Place.LOCAL, "here", 1)
    assert edge.was_cancelled.wait(30)


def test_the_run_here_is_told_to_stop_when_the_edge_answers_after_all() -> None:
    hedge, edge, here = trained(), Edge(), Edge()

    def lets_the_edge_answer(values: Values, cancel: Cancel) -> str:
        edge.may_end.set()
        return here(values, cancel)

    ended = hedge.run(KEY, (), edge, lets_the_edge_answer)
    assert (ended.place, ended.result) == (Place.REMOTE, "there")
    assert here.was_cancelled.wait(30)


def test_the_delay_stays_while_the_edge_loses() -> None:
    """If answers that were not waited for did not count, the quantile would sink with each of them."""
    hedge = Hedge(shortest_seconds=0)  # type: ignore[arg-type]
    for _ in range(128):
        hedge.learn(KEY, 0.002)
    for _ in range(50):
        assert hedge.run(KEY, (), Edge(), at_once).place is Place.LOCAL
    assert hedge.delay(KEY) == 0.002


def test_a_failure_of_the_edge_waits_for_the_run_here() -> None:
    hedge, edge = trained(), Edge(HostLost("gone"))

    def after_the_failure(values: Values, cancel: Cancel) -> str:
        edge.may_end.set()
        until(lambda: not any(t.name == "lawow-hedge-remote" for t in threading.enumerate()))
        return "here"

    assert hedge.run(KEY, (), edge, after_the_failure).result == "here"


def test_a_failure_before_the_delay_is_returned_and_nothing_runs_here() -> None:
    hedge = Hedge()
    for _ in range(20):
        hedge.learn(KEY, 30.0)
    edge = Edge(HostLost("gone"))
    edge.may_end.set()
    ended = hedge.run(KEY, (), edge, never_asked)
    assert not ended.is_answer
    with pytest.raises(HostLost):
        _ = ended.result


def test_a_trap_on_the_edge_is_an_answer() -> None:
    hedge, edge, here = trained(), Edge(GuestTrap("unreachable", "trap")), Edge()

    def lets_the_edge_answer(values: Values, cancel: Cancel) -> str:
        edge.may_end.set()
        return here(values, cancel)

    with pytest.raises(GuestTrap):
        _ = hedge.run(KEY, (), edge, lets_the_edge_answer).result


def test_each_run_has_lists_of_its_own_and_the_winners_are_kept() -> None:
    """Also one list that is given twice stays one."""
    hedge, edge, numbers = trained(), Edge(), [1, 2, 3]

    def changes(values: Values, cancel: Cancel) -> str:
        assert values[0] is values[1]
        assert isinstance(values[0], list)
        values[0].append(4)
        return "here"

    def changes_there(values: Values, cancel: Cancel) -> str:
        assert isinstance(values[0], list)
        values[0].clear()
        return edge(values, cancel)

    assert hedge.run(KEY, (numbers, numbers), changes_there, changes).result == "here"
    assert numbers == [1, 2, 3, 4]


def test_calls_that_nothing_stops_are_bounded() -> None:
    """As over a link that hangs: each leaves a thread behind until it is over."""
    hedge, may_end = trained(most_abandoned=3), threading.Event()

    def hangs(values: Values, cancel: Cancel) -> str:
        assert may_end.wait(30)
        return "there"

    def run() -> Ended[str]:
        return hedge.run(KEY, (), hangs, at_once)

    assert [run().result for _ in range(3)] == ["here"] * 3
    with pytest.raises(HostLost, match="3 calls"):
        run()
    may_end.set()
    until(lambda: not any(t.name == "lawow-hedge-remote" for t in threading.enumerate()))
    assert run().result in ("here", "there")


def test_an_end_of_the_program_in_a_run_reaches_who_waits() -> None:
    def exits(values: Values, cancel: Cancel) -> str:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        _ = trained().run(KEY, (), Edge(), exits).result


@pytest.mark.parametrize("wrong", [{"quantile": 1}, {"least_calls": 0}, {"most_abandoned": 0}])
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Hedge(**wrong)
