"""The stub about edges that are slow, gone or wrong; Python's own parts judge the Java ones."""

from __future__ import annotations

import contextlib
import random
import re
import struct
from collections.abc import Iterator

import pytest

from lawow.device.edge_client import EdgeProblem
from lawow.device.resilience import Breaker, Hedge
from lawow.errors import GuestTrap, HostLost, LawowError
from tests.android.builders import Jvm, Sample
from tests.android.edge_double import Answer, EdgeDouble, serve
from tests.android.test_elastic_function import problem

MAIN = "dev.lawow.Steady"
TICK = 2**-7
"""Seconds of which doubles and nanoseconds hold every multiple, so that both clocks agree to the last bit."""
ERRORS: dict[str, LawowError | None] = {
    "done": None,
    "lost": HostLost("gone"),
    "worker-lost": EdgeProblem("worker-lost", 502, "killed"),
    "busy": EdgeProblem("busy", 503, "later"),
    "trap": GuestTrap("unreachable", "trap"),
    "cancelled": HostLost("gone"),
}


@pytest.fixture
def edge() -> Iterator[EdgeDouble]:
    with serve(None) as running:
        running.answer = number(144)
        yield running


@pytest.fixture
def client(jvm: Jvm, edge: EdgeDouble) -> Jvm:
    return jvm.with_properties(edge=edge.url, timeout_seconds=20)


def number(value: int) -> Answer:
    return Answer(struct.pack("<q", value))


def steady(jvm: Jvm, *words: str, stdin: str = "") -> list[str]:
    return jvm.run(MAIN, *words, stdin=stdin).splitlines()


# ---- against Python's


class Model:
    """Python's breaker with the clock and the dice that the Java one gets."""

    def __init__(self) -> None:
        self.now = self.dice = 0.0
        self.breaker = Breaker(
            losses=3, first_seconds=1, longest_seconds=5, clock=lambda: self.now, dice=lambda: self.dice
        )

    def call(self, edge: str, outcome: str) -> str:
        sent = []

        def run() -> None:
            sent.append(outcome)
            if (error := ERRORS[outcome]) is not None:
                raise error

        with contextlib.suppress(LawowError):
            self.breaker.call(edge, run, lambda: outcome == "cancelled")
        return f"{'sent' if sent else 'kept'} {self.breaker.refusal(edge) or 'null'}"


def without_rounding(lines: list[str]) -> list[str]:
    """Java rounds halves up, Python to even."""
    return [re.sub(r"in \d+\.\d s", "in # s", line) for line in lines]


def test_the_breaker_sends_and_refuses_what_pythons_does(jvm: Jvm) -> None:
    source, model = random.Random(20261128), Model()
    lines, wanted = [], []
    for _ in range(3000):
        model.now += source.choice((0, 1, 40, 90, 300)) * TICK
        model.dice = source.choice((0, 0.25, 0.5, 0.75))
        place = source.choice(("one", "other"))
        outcome = source.choice([*ERRORS, "lost", "lost", "lost"])
        lines.append(f"{int(model.now * 1e9)} {place} {outcome} {model.dice}\n")
        wanted.append(model.call(place, outcome))
    assert without_rounding(steady(jvm, "breaker", stdin="".join(lines))) == without_rounding(wanted)
    kinds = {line.split()[0] for line in wanted if "null" not in line}
    assert kinds == {"sent", "kept"}


def test_the_delay_is_the_quantile_that_python_learns(jvm: Jvm) -> None:
    source, model = random.Random(6), Hedge(shortest_seconds=1e6)
    answers = [int(source.lognormvariate(15, 1)) for _ in range(400)]
    wanted = []
    for nanos in answers:
        model.learn(("", "f"), nanos)
        wanted.append(str(int(model.delay(("", "f")) or 0)))
    assert steady(jvm, "delays", stdin="".join(f"{nanos}\n" for nanos in answers)) == wanted
    assert len(set(wanted)) > 10


# ---- comparing


def test_outcomes_are_compared_bit_by_bit_and_limits_say_nothing(jvm: Jvm) -> None:
    differing = "different results here and on the edge, from byte {} on"
    assert steady(jvm, "outcomes") == [
        "equal: null",
        f"zeros: {differing.format(7)}",
        "nans: null",  # which NaN arithmetic gives differs between processors
        f"list: {differing.format(20)}",
        "in: null",  # the contents of such a list do not come back
        "alias: null",
        f"length: {differing.format(0)}",
        f"text: {differing.format(8)}",
        f"several: {differing.format(14)}",
        "void: null",
        "class: no result here and a result on the edge",
        "none: no result here and a result on the edge",
        "exception: no result here and a result on the edge",
        "both: null",
        "traps: trap unreachable here and trap integer-overflow on the edge",
        "limit: null",
    ]


def test_what_runs_calls_twice_takes_idempotent_functions_only(client: Jvm) -> None:
    twice = (
        "square: it is not declared idempotent, and hedging and shadow mode run calls twice; declare"
        " idempotent(true) if that does no harm, or use the breaker alone"
    )
    assert steady(client, "refusals") == [
        twice,
        twice,
        "share is NaN; allowed is above 0 and at most 1",
        "quantile 1.0, leastCalls 20, mostAbandoned 4; allowed are a quantile between 0 and 1, and counts"
        " from 1 on",
        "losses 5, firstMillis 2000, longestMillis 1000; allowed are 1 loss and more, and 0 < firstMillis"
        " <= longestMillis",
        "watts are -1.0; allowed are finite numbers from 0",
        "the source has 7 characters; allowed are 500 on one line",
        "remote: the policy is REMOTE",
    ]


# ---- shadow mode


def test_an_edge_that_computes_wrongly_gets_no_more_calls(client: Jvm, edge: EdgeDouble) -> None:
    edge.queue += [number(144), number(145)]
    what = (
        "square: the same call gave different results here and on the edge, from byte 0 on; it is not"
        " offloaded any more"
    )
    assert steady(client, "shadow", "number") == [
        "144 true [1, 2, 3]",
        "144 false [1, 2, 3]",
        "144 false [1, 2, 3]",
        f"[900 {what}, told of square] local: {what}",  # 900 is a warning
        "null remote: the policy is REMOTE",
    ]
    assert len(edge.requests) == 2


def test_lists_that_come_back_are_compared_and_are_the_right_ones_afterwards(
    client: Jvm, edge: EdgeDouble
) -> None:
    right, wrong = (struct.pack("<2i3i4x", 3, 0, *items) for items in ((3, 2, 1), (3, 2, 2)))
    edge.queue += [Answer(right), Answer(wrong)]
    assert steady(client, "shadow", "list")[:3] == [
        "null true [3, 2, 1]", "null false [1, 2, 3]", "null false [3, 2, 1]",
    ]  # fmt: skip


def test_a_trap_there_agrees_with_an_exception_here_which_the_caller_gets(
    client: Jvm, edge: EdgeDouble
) -> None:
    edge.queue += [problem(422, "trap", Lawow_Trap="integer-divide-by-zero")] * 2
    answers = steady(client, "shadow", "throws")
    assert answers[:2] == ["ArithmeticException true", "ArithmeticException true"]
    assert answers[2] == "ArithmeticException false"  # the edge has returned a number at last
    assert "no result here and a result on the edge" in answers[3]


@pytest.mark.parametrize("code", ["interrupt", "out-of-fuel"])
def test_a_limit_of_the_edge_is_the_result_and_no_mismatch(client: Jvm, edge: EdgeDouble, code: str) -> None:
    edge.queue += [problem(422, "trap", Lawow_Trap=code)] * 3
    assert steady(client, "shadow", "number") == [
        *["Trap true"] * 3,
        "[] remote: the policy is REMOTE",
        "null remote: the policy is REMOTE",
    ]


def test_a_call_that_the_edge_refuses_runs_here_and_says_nothing(client: Jvm, edge: EdgeDouble) -> None:
    edge.queue += [problem(429, "busy"), Answer(cut=True)]
    assert steady(client, "shadow", "number")[:4] == [
        "144 false [1, 2, 3]",
        "144 false [1, 2, 3]",
        "144 true [1, 2, 3]",
        "[] remote: the policy is REMOTE",
    ]


# ---- an edge that is gone, or slow


def test_a_breaker_spares_calls_the_way_to_an_edge_that_is_gone(client: Jvm, edge: EdgeDouble) -> None:
    edge.answer = Answer(cut=True)
    *answers, explained = steady(client, "gone")
    assert answers == ["144 false"] * 5 + ["9"]
    assert len(edge.requests) == 2
    assert re.fullmatch(
        r"local: 127\.0\.0\.1:\d+ was lost 2 times in a row and is not called; it is probed in \d+\.\d s",
        explained,
    )


def test_a_call_to_an_edge_that_is_silent_runs_here_as_well(client: Jvm, edge: EdgeDouble) -> None:
    edge.queue += [number(144)] * 20
    edge.answer = Answer(delay_seconds=60)
    learned, *answers = steady(client, "hedge", "silent")
    assert learned == "0 true"
    assert answers[:4] == [f"144 false {count}" for count in range(1, 5)]
    assert answers[4:] == ["144 false 4"] * 3  # four are waiting, so that the edge is not asked any more
    assert len(edge.requests) == 24


def test_an_answer_that_comes_first_counts_and_the_version_here_is_interrupted(
    client: Jvm, edge: EdgeDouble
) -> None:
    edge.queue += [*[number(144)] * 20, Answer(number(145).body, delay_seconds=60)]
    with client.started(MAIN, "hedge", "late") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0 true\n"
        assert process.stdout.readline() == "begun\n"
        edge.stop.set()
        assert process.stdout.read().splitlines() == ["145 true 1", "interrupted"]


@pytest.mark.parametrize("others", [0, 7], ids=["in a thread of the library", "in the caller's"])
def test_a_guest_that_runs_here_is_stopped_when_the_edge_has_answered(
    local_jvm: Jvm, edge: EdgeDouble, calls_module: Sample, others: int
) -> None:
    edge.answer = Answer(delay_seconds=0.3)
    client = local_jvm.with_properties(edge=edge.url)
    assert steady(client, "guest", calls_module.name, str(others)) == ["null true 1", "stopped"]


def test_more_calls_at_once_than_threads_all_come_back_from_the_edge(client: Jvm, edge: EdgeDouble) -> None:
    edge.answer = number(7)
    assert steady(client, "many", "40") == [str([7] * 40)]
    assert len(edge.requests) == 40
