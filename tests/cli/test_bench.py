"""Both papers' figures by one command each: the numbers hang together, and a browser shows the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lawow.cli.bench import busy_note
from tests.conftest import lawow
from tests.server.chromium import Browser, running_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with running_browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


def seen_report(browser: Browser, folder: Path, drawings: int) -> str:
    """Open a report; return its text. It has its drawings, and the browser nothing to complain of."""
    tab = browser.open((folder / "report.html").as_uri())
    tab.until("document.readyState === 'complete'")
    assert tab.value("document.querySelectorAll('svg').length") == drawings
    assert tab.value("Math.min(...[...document.querySelectorAll('svg')].map(s => s.clientHeight)) > 150")
    assert tab.complaints() == []
    return tab.text("body")


def test_table_1_on_a_slow_device_and_offloaded(browser: Browser, tmp_path: Path) -> None:
    done = lawow("bench", "lawow", "--quick", "--json", "--out", tmp_path)
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "figures.json").read_text())
    for program in document["programs"]:
        parts = [program[place] for place in ("local", "cold", "warm")]
        assert parts[0]["results"] == parts[1]["results"] == parts[2]["results"]
        assert all(min(part["transfer"], part["prepare"], part["run"]) >= 0 for part in parts)
        assert program["local"]["provenance"] == "emulated"
        assert program["saved"] > 0
    assert max(document["exec_peak_memory_bytes"]["bytes"]) < 50 << 20
    text = seen_report(browser, tmp_path, 2)
    assert "Figure 5(b)" in text
    assert "quoted from the paper" in text


def test_figures_of_a_busy_machine_are_called_a_trial() -> None:
    assert busy_note(1.9, 2) is None
    assert "load 9.8, 2 processors" in str(busy_note(9.8, 2))


def test_object_detection_here_and_offloaded(browser: Browser, tmp_path: Path) -> None:
    options = ("--device", "pi3b", "--seconds", "1.5", "--json", "--out", tmp_path)
    (run,) = json.loads(lawow("bench", "dynamic", *options).stdout)["devices"]
    brought = [phase["brought_bytes"] for phase in run["phases"] if phase["brought_bytes"] is not None]
    assert brought[0] > 90_000
    assert set(brought[1:]) == {0}
    assert run["best_by_time"] != "local"
    assert run["best_by_energy"] != "local"
    assert {place["mwh_per_frame"]["provenance"] for place in run["places"].values()} == {"modelled"}
    assert {place["response_ms"]["provenance"] for place in run["places"].values()} == {"emulated"}
    assert max(sample["sent_per_second"] for sample in run["samples"]) > 0
    text = seen_report(browser, tmp_path, 2)
    assert "Figure 4: Raspberry Pi 3B" in text
    assert "by time" in text


def test_modules_that_are_not_there_are_named(tmp_path: Path) -> None:
    done = lawow("bench", "lawow", "--no-plots", "--modules", tmp_path, check=False)
    assert done.returncode == 2
    assert "insertion_sort.wasm is not there; run in the folder of a clone, or give --modules" in done.stderr
