"""The stub's elastic functions while connections are cut at random points, and when the edge is gone.

The link is `lawow.device.emulation`'s; every call has an answer, and none that counts is done twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from lawow.device.emulation.proxy import ShapingProxy
from tests.android.builders import Jvm, Sample
from tests.device.test_chaos import CALLS, COUNTER, LONGEST_LIFE_BYTES, SQUARE
from tests.runtime.builders import wat
from tests.server.running import RunningEdge, call_outcomes, running_edge, until

MAIN = "dev.lawow.Chaos"
SPIN = wat("""(module (func (export "spin") (result i32) (loop $again (br $again)) (i32.const 0))
  (func (export "one") (result i32) (i32.const 1)))""")


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[RunningEdge]:
    with running_edge(tmp_path / "data") as running:
        yield running


@dataclass(frozen=True, slots=True)
class Program:
    """The Java side, and the link that it calls over; closing `way` takes the link away."""

    words: IO[str]
    output: IO[str]
    link: ShapingProxy
    way: ExitStack


@contextmanager
def program(jvm: Jvm, edge: RunningEdge, module: Sample, kind: str, folder: Path) -> Iterator[Program]:
    """Run the Java side over a link that is cut at random, or never in the test of a call that spins."""
    dice = random.Random(kind)
    (folder / "assets" / "lawow").mkdir(parents=True)
    (folder / "assets" / "lawow" / module.file).write_bytes(module.data)
    settings = {"edge": edge.url, "token": edge.token("walker"), "timeout_seconds": 30}
    with jvm.with_classes(folder).with_properties(**settings).started(MAIN, kind, module.name) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        life = None if kind == "spins" else lambda: dice.randrange(200, LONGEST_LIFE_BYTES)
        with ExitStack() as way:
            link = way.enter_context(ShapingProxy("127.0.0.1", port, cut_after=life))
            print(link.port, file=process.stdin, flush=True)
            yield Program(process.stdin, process.stdout, link, way)


def test_a_thousand_calls_that_count_are_each_done_once_whatever_is_cut(
    jvm: Jvm, edge: RunningEdge, tmp_path: Path
) -> None:
    """A counter shows a call that is done twice; what surely did not arrive ran here, and counted there."""
    with program(jvm, edge, Sample("counter.wasm", COUNTER), "counts", tmp_path / "app") as running:
        *answers, last = running.output.read().splitlines()
        assert running.link.cuts > 20
    sums = [int(line) for line in answers if line.isdecimal()]
    here = [line for line in answers if line.startswith("here")]
    unknown = [line for line in answers if line.startswith("unknown")]
    assert len(answers) == len(sums) + len(here) + len(unknown) == CALLS
    assert last == f"calls {CALLS} unknown {len(unknown)}"
    assert here == [f"here {number}" for number in range(1, len(here) + 1)]
    assert sums == sorted(set(sums))
    assert len(sums) <= sums[-1] <= len(sums) + len(unknown)
    assert len(sums) > CALLS // 2


@pytest.mark.parametrize("kind", ["plain", "guarded"])
def test_a_thousand_idempotent_calls_are_answered_while_connections_are_cut_and_when_the_edge_is_gone(
    jvm: Jvm, edge: RunningEdge, tmp_path: Path, kind: str
) -> None:
    """Half of them over a link that is cut again and again, half of them after the edge was killed."""
    with program(jvm, edge, Sample("square.wasm", SQUARE), kind, tmp_path / "app") as running:
        assert running.output.readline() == "half\n"
        assert running.link.cuts > 5
        edge.kill()
        running.way.close()  # or it would go on taking connections for an edge that is gone
        print("go", file=running.words, flush=True)
        first, last = running.output.read().splitlines()
    assert first.startswith("wrong 0 remote ")
    assert int(first.split()[3]) > CALLS // 4
    assert first.endswith("hedged true") is (kind == "guarded")
    assert last == "false null"


def test_the_edge_is_told_to_stop_a_call_that_ran_here_meanwhile(
    jvm: Jvm, edge: RunningEdge, tmp_path: Path
) -> None:
    with program(jvm, edge, Sample("spin.wasm", SPIN), "spins", tmp_path / "app") as running:
        assert running.output.readline() == "7 false\n"
        until(lambda: call_outcomes(edge)["cancelled"] == 1)
        print("enough", file=running.words, flush=True)
