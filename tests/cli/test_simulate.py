"""``lawow trace record`` and ``lawow simulate``: what was recorded is replayed, and figures are tagged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lawow.device.simulate import read_trace
from lawow.errors import FormatError
from tests.conftest import ROOT

MODULE = ROOT / "fixtures" / "app" / "src" / "main" / "wasm" / "fibonacci.wasm"
PROGRAM = f"""
from pathlib import Path
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_module import ElasticModule
fib = ElasticFunction(ElasticModule(Path({str(MODULE)!r}).read_bytes()), "fib")
for number in (5, 10, 20):
    fib(number)
"""
LINE = {
    "at_seconds": 5.0, "export": "f", "place": "local", "seconds": 0.2, "size": 10.0, "sent_bytes": 80,
    "received_bytes": 8,
}  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lawow", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_a_programs_calls_are_recorded_and_replayed(tmp_path: Path) -> None:
    trace = tmp_path / "calls.jsonl"
    done = run("trace", "record", "-o", str(trace), "--", sys.executable, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert "3 calls" in done.stderr
    entries = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [(entry["export"], entry["size"], entry["place"]) for entry in entries] == [
        ("fib", 5.0, "local"), ("fib", 10.0, "local"), ("fib", 20.0, "local"),
    ]  # fmt: skip
    replayed = run("simulate", "--trace", str(trace), "--policy", "adaptive", "--json")
    result = json.loads(replayed.stdout)
    assert result["provenance"] == "modelled"
    assert result["policies"]["adaptive"]["calls"] == 3


def test_a_trace_is_not_overwritten(tmp_path: Path) -> None:
    trace = tmp_path / "calls.jsonl"
    trace.write_text("kept")
    done = run("trace", "record", "-o", str(trace), "--", "true")
    assert done.returncode == 2
    assert trace.read_text() == "kept"


def test_the_programs_own_status_is_handed_on_and_a_silent_one_told(tmp_path: Path) -> None:
    done = run("trace", "record", "-o", str(tmp_path / "a"), "--", sys.executable, "-c", PROGRAM + "exit(7)")
    assert done.returncode == 7
    assert "called no elastic function" in run("trace", "record", "-o", str(tmp_path / "b"), "true").stderr
    failed = run("trace", "record", "-o", str(tmp_path / "c"), "--", sys.executable, "-c", "exit(7)")
    assert failed.returncode == 7
    assert "ended with status 7 before any elastic function" in failed.stderr


def test_capacity_is_told_for_many_devices() -> None:
    done = run("simulate", "--device", "mate10", "--devices", "50", "--calls", "500", "--json")
    result = json.loads(done.stdout)
    assert (result["devices"], result["calls"], result["provenance"]) == (50, 500, "modelled")


def test_a_plot_that_cannot_be_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    done = run("simulate", "--plot", str(tmp_path / "p.txt"))
    assert (done.returncode, done.stdout) == (2, "")


def test_a_plot_is_written_whole(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    plot = tmp_path / "p.svg"
    assert run("simulate", "--calls", "50", "--plot", str(plot)).returncode == 0
    assert plot.read_text().rstrip().endswith("</svg>")


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    assert "adaptive" in run("simulate", "--policy", "clever").stderr
    assert "jetson-nano" in run("simulate", "--device", "pi9").stderr


def test_a_trace_begins_at_nought_and_work_is_scaled_to_the_edge() -> None:
    later = json.dumps({**LINE, "at_seconds": 7.5, "place": "remote"})
    first, second = read_trace(f"{json.dumps(LINE)}\n{later}".encode(), "t", 4.0)
    assert (first.at_seconds, first.edge_seconds) == (0.0, 0.05)
    assert (second.at_seconds, second.edge_seconds) == (2.5, 0.2)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[1]", b"[" * 5000, b"\xff\xfe", json.dumps({**LINE, "place": "moon"}).encode(),
     json.dumps({**LINE, "seconds": -1}).encode(), json.dumps({**LINE, "size": "big"}).encode(),
     json.dumps({**LINE, "seconds": float("nan")}).encode(), json.dumps({**LINE, "export": None}).encode()],
)  # fmt: skip
def test_a_damaged_trace_is_refused_with_its_line(line: bytes) -> None:
    with pytest.raises(FormatError, match=r"^t: "):
        read_trace(json.dumps(LINE).encode() + b"\n" + line + b"\n" if line else b"", "t", 1.0)
