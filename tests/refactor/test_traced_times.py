"""What a method trace says of calls and times, beside what Android's own tool makes of it."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from lawow.errors import LimitExceeded
from lawow.formats.method_trace import read_method_trace
from lawow.refactor.timings import MethodTime
from lawow.refactor.traced_times import TracedTimes, traced_times
from tests.formats.method_traces import Event, Trace, enter, leave
from tests.tools import run

F, G, H = 0, 1, 2
NAMES = ("a.A.f()V", "a.A.g(I)I", "b.B.h([D)V")


def times(trace: Trace, sampled_us: int | None = None) -> TracedTimes:
    return traced_times(read_method_trace(trace.whole()), sampled_us)


def measured(*events: Event, overhead_ns: int = 0) -> dict[str, tuple[int | None, float]]:
    found = times(Trace(events, overhead_ns=overhead_ns)).times
    return {item.method: (item.calls, round(item.seconds * 1e6, 3)) for item in found}


def test_a_call_takes_its_own_time_and_that_of_what_it_calls_on_its_thread() -> None:
    events = (
        enter(F, 100, thread=1),
        enter(H, 5000, thread=2),
        enter(G, 150, thread=1),
        leave(G, 250, thread=1),
        leave(H, 5030, thread=2),
        enter(G, 300, thread=1),
        leave(G, 340, thread=1),
        leave(F, 400, thread=1),
    )
    assert measured(*events) == {NAMES[F]: (1, 300), NAMES[G]: (2, 140), NAMES[H]: (1, 30)}


def test_a_call_of_a_method_by_itself_belongs_to_the_outer_one() -> None:
    recursion = (enter(F, 0), enter(G, 10), enter(F, 20), leave(F, 30), leave(G, 60), leave(F, 100))
    assert measured(*recursion) == {NAMES[F]: (1, 100), NAMES[G]: (1, 50)}


def test_the_time_of_the_processor_counts_where_a_trace_has_it() -> None:
    assert measured(enter(F, 10, 1000), leave(F, 30, 9000)) == {NAMES[F]: (1, 20)}


def test_an_exception_ends_the_calls_that_it_leaves() -> None:
    unwound = Event(F, 2, 70)
    assert measured(enter(F, 0), enter(G, 10), unwound) == {NAMES[F]: (1, 70), NAMES[G]: (1, 60)}


def test_what_had_begun_before_and_what_did_not_end_is_left_out() -> None:
    assert measured(leave(F, 5), enter(G, 10), enter(H, 20), leave(H, 25)) == {NAMES[H]: (1, 5)}


def test_clocks_that_begin_anew_or_step_back_give_no_wild_times() -> None:
    assert measured(enter(F, (1 << 32) - 10), leave(F, 20)) == {NAMES[F]: (1, 30)}
    assert measured(enter(F, 100), leave(F, 90)) == {NAMES[F]: (1, 0)}


def test_what_the_tracer_took_is_taken_off() -> None:
    inner = [event for at in range(10) for event in (enter(G, 10 * at), leave(G, 10 * at + 5))]
    found = measured(enter(F, 0), *inner, leave(F, 200), overhead_ns=500)
    assert found == {NAMES[F]: (1, 200 - 21 * 0.5), NAMES[G]: (10, 50 - 10 * 0.5)}
    assert measured(enter(F, 0), leave(F, 1), overhead_ns=5000) == {NAMES[F]: (1, 0)}


def test_two_classes_of_one_name_are_one() -> None:
    twice = Trace((enter(F, 0), leave(F, 10), enter(G, 20), leave(G, 50)), methods=[("a.A", "f", "()V")] * 2)
    assert times(twice).times == (MethodTime(NAMES[F], 2, 40e-6),)


def sampled(interval_us: int) -> Trace:
    """Return what a sampler sees of 40 calls of g by f, each of 3 intervals, and of h now and then."""
    events = [enter(F, 0)]
    for at in range(40):
        began = interval_us * (4 * at + 1)
        method = H if at % 8 == 7 else G
        events += [enter(method, began), leave(method, began + 3 * interval_us)]
    return Trace([*events, leave(F, interval_us * 200)])


def test_a_sampled_trace_tells_times_and_no_calls() -> None:
    found = times(sampled(1000))
    assert found.sampled_us == 1000
    assert {item.calls for item in found.times} == {None}
    assert [(item.method, round(item.seconds, 6)) for item in found.times] == [
        (NAMES[F], 0.2),
        (NAMES[G], 0.105),
        (NAMES[H], 0.015),
    ]


def test_calls_that_were_recorded_are_not_taken_for_samples_and_the_caller_may_know_better() -> None:
    assert times(sampled(7)).sampled_us is None
    assert times(Trace((enter(F, 0), leave(F, 5_000_000)))).times[0].calls == 1
    assert times(sampled(1000), sampled_us=0).times[0].calls == 1
    assert times(sampled(7), sampled_us=500).times[0].calls is None


def test_open_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    import lawow.refactor.traced_times as module
    from lawow.limits import TraceLimits

    monkeypatch.setattr(module, "TRACE", TraceLimits(open_calls=5))
    with pytest.raises(LimitExceeded, match="open_calls is 6"):
        times(Trace([enter(F, at) for at in range(6)]))


def test_androids_own_tool_counts_the_same_calls_and_microseconds(tmp_path: Path) -> None:
    """Calls of several methods at random, none of itself: a tool that counts recursion apart agrees, too."""
    methods = [("a.A", f"m{at}", "()V") for at in range(6)]
    source, events, stack, at = random.Random(7), [enter(0, 0)], [0], 0
    for _ in range(2000):
        at += source.randrange(1, 9)
        free = [method for method in range(6) if method not in stack]
        if len(stack) > 1 and (not free or source.randrange(2)):
            events.append(leave(stack.pop(), at))
        elif free:
            stack.append(source.choice(free))
            events.append(enter(stack[-1], at))
    while stack:
        at += 5
        events.append(leave(stack.pop(), at))
    trace = Trace(events, methods=methods, version=2, clock="thread-cpu")
    (tmp_path / "app.trace").write_bytes(trace.whole())
    shown = run("dmtracedump", tmp_path / "app.trace").stdout
    line = re.compile(r"^\[\d+\] +\S+ +(\d+)\+0 +(\d+) (a\.A\.m\d) ", re.MULTILINE)
    theirs = {name: (int(microseconds), int(calls)) for calls, microseconds, name in line.findall(shown)}
    ours = {
        item.method.partition("(")[0]: (round(item.seconds * 1e6), item.calls) for item in times(trace).times
    }
    assert theirs == ours
