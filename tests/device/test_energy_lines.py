"""Energy ledgers as lines: what was written is read, and nothing that is wrong gets in."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.device import energy_lines
from lawow.device.energy import EnergySample
from lawow.device.energy_lines import energy_line, read_energy
from lawow.device.policy import Place
from lawow.device.provenance import Provenance
from lawow.errors import FormatError, LawowError, LimitExceeded

GOOD = {
    "export": "f",
    "place": "local",
    "seconds": 0.5,
    "mwh_per_call": 0.1,
    "provenance": "measured",
    "source": "a meter",
}


@given(
    st.lists(
        st.builds(
            EnergySample,
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
            st.sampled_from(Place),
            st.floats(0, 1e6),
            st.floats(0, 1e9),
            st.sampled_from(Provenance),
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        )
    )
)
def test_what_is_written_is_read(samples: list[EnergySample]) -> None:
    text = "".join(f"{energy_line(sample)}\n" for sample in samples)
    assert list(read_energy(text.encode(), "l").samples) == samples


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"place": "moon"}, "'moon' is not a valid Place"),
        ({"provenance": "guessed"}, "'guessed' is not a valid Provenance"),
        ({"export": 7}, "export is no printable text"),
        ({"source": "a\nb"}, "source is no printable text"),
        ({"source": "x" * 1001}, "source is no printable text"),
        ({"seconds": -1}, "seconds is no number from 0 to 1e"),
        ({"mwh_per_call": True}, "mwh_per_call is no number"),
        ({"mwh_per_call": float("nan")}, "mwh_per_call is no number"),
        ({"mwh_per_call": 1e10}, "mwh_per_call is no number"),
        ({"source": "x" * 5000}, "longer than 4096 bytes"),
    ],
)
def test_a_line_that_is_wrong_is_refused_with_its_number(change: dict[str, object], said: str) -> None:
    lines = f"{json.dumps(GOOD)}\n{json.dumps({**GOOD, **change})}\n"
    with pytest.raises(FormatError, match=said) as caught:
        read_energy(lines.encode(), "ledger.jsonl")
    assert str(caught.value).startswith("ledger.jsonl: line[2]: is no call with its energy")


@pytest.mark.parametrize("line", [b"", b"[1]", b"{}", b"\xff", b"[" * 4000, b'{"mwh_per_call": 1}'])
def test_what_is_no_object_of_a_call_is_refused(line: bytes) -> None:
    with pytest.raises(FormatError, match=r"line\[1\]"):
        read_energy(line + b"\n", "l")


def test_more_lines_than_a_trace_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_lines, "TRACE_CALLS", 3)
    line = json.dumps(GOOD).encode() + b"\n"
    assert len(read_energy(line * 3, "l").samples) == 3
    with pytest.raises(LimitExceeded, match="TRACE_CALLS"):
        read_energy(line * 4, "l")


@given(st.binary(max_size=200))
def test_only_our_errors_come_out(data: bytes) -> None:
    with suppress(LawowError):
        read_energy(data, "l")
