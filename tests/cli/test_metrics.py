"""``lawow metrics``: once, as a trace, and played."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import lawow

TRACE = (
    '{"seconds": 0, "metric": "battery_level", "value": 42.5}\n'
    '{"seconds": 0, "metric": "charge_state", "value": "discharging"}\n'
)


def test_this_machines_metrics_are_shown_with_provenance_and_source(tmp_path: Path) -> None:
    lines = lawow("metrics").stdout.splitlines()
    (cpu,) = [line.split() for line in lines if line.startswith("cpu_utilisation")]
    assert 0 <= float(cpu[1]) <= 100
    assert cpu[2:] == ["%", "measured", "/proc/stat"]
    shown = {line.split()[0] for line in lines}
    assert {"battery_level", "network_kind", "power"} <= shown  # read, or absent with the place


def test_what_is_printed_as_json_is_a_trace(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(lawow("metrics", "--json").stdout)
    played = lawow("metrics", "--trace", tmp_path / "trace.jsonl", "--json").stdout.splitlines()
    assert {json.loads(line)["provenance"] for line in played} == {"emulated"}
    assert "cpu_utilisation" in {json.loads(line)["metric"] for line in played}


def test_a_trace_is_shown_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(TRACE)
    assert lawow("metrics", "--trace", tmp_path / "trace.jsonl").stdout.splitlines() == [
        "battery_level        42.5 %                 emulated   trace.jsonl",
        "charge_state         discharging            emulated   trace.jsonl",
    ]


def test_a_file_that_is_no_trace_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(TRACE + "nonsense\n")
    done = lawow("metrics", "--trace", tmp_path / "trace.jsonl", check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(
        "lawow: trace.jsonl: line[3]: no JSON (found b'nonsense', allowed an object)"
    )
