"""Traces, the battery model, the measured round trip."""

from __future__ import annotations

import json
import random
import socket

import pytest

from lawow.device.notifier import (
    Absent,
    BatteryModel,
    BatterySource,
    Metric,
    Notifier,
    Provenance,
    Reading,
    RoundTripSource,
    TraceSource,
    trace_line,
)
from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.limits import NOTIFIER
from tests.device.notifier.builders import Clock, Told

TRACE = (
    b'{"seconds": 100, "metric": "battery_level", "value": 31, "unit": "%"}\n\n'
    b'{"seconds": 100, "metric": "network_kind", "value": "wifi"}\n'
    b'{"seconds": 104.5, "metric": "battery_level", "value": 29}\n'
)


def test_a_trace_is_replayed_at_the_times_it_was_made() -> None:
    clock = Clock(7.0)
    source = TraceSource(TRACE)
    notifier = Notifier([source], clock=clock)
    seen = []
    for seconds in (7.0, 11.0, 11.5, 99.0):
        clock.seconds = seconds
        readings = notifier.sample().readings
        assert readings[Metric.BATTERY_LEVEL].provenance is Provenance.EMULATED
        seen.append((readings[Metric.BATTERY_LEVEL].value, readings[Metric.NETWORK_KIND].value))
    assert seen == [(31.0, "wifi"), (31.0, "wifi"), (29.0, "wifi"), (29.0, "wifi")]
    assert source.seconds == 4.5


def test_the_first_line_is_in_the_first_sample_whatever_the_clocks_say() -> None:
    """Sums of clocks are rounded: the time of the first line must not fall behind itself."""
    chance = random.Random(3)
    for _ in range(100):
        line = f'{{"seconds": {chance.random() * 1e5}, "metric": "power", "value": 1}}'
        assert len(TraceSource(line.encode()).read(chance.random() * 1e7, {})) == 1


def test_what_is_written_down_is_read_again() -> None:
    written = [
        Reading(Metric.BATTERY_CURRENT, -0.35, Provenance.MEASURED, 1.25, "a file"),
        Reading(Metric.CHARGE_STATE, "full", Provenance.MODELLED, 2.0, "a model"),
    ]
    data = "\n".join(map(trace_line, written)).encode()
    assert json.loads(data.splitlines()[0])["unit"] == "A"
    source = TraceSource(data)
    source.read(0.0, {})
    again = source.read(0.75, {})
    assert [(item.metric, item.value) for item in again if isinstance(item, Reading)] == [
        (item.metric, item.value) for item in written
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "trace: has no readings; write one JSON object a line"),
        (b"[1]", "trace: line[1]: no JSON object (found b'[1]', allowed an object)"),
        (b"\xff", "trace: line[1]: no JSON (found"),
        (b"[" * 4000, "trace: line[1]: no JSON (found"),
        (b"1" * 5000, "trace: line[1]: too long (found 5000 bytes, allowed up to 4096)"),
        (
            b'{"seconds": 1, "metric": "luck", "value": 1}',
            "trace: line[1]: metric (found 'luck', allowed cpu_util",
        ),
        (b'{"seconds": 1, "metric": [], "value": 1}', "trace: line[1]: metric (found [], allowed"),
        (
            b'{"seconds": 1, "metric": "power", "value": 1, "unit": "mW"}',
            "trace: line[1]: unit of power (found 'mW'",
        ),
        (
            b'{"seconds": 1, "metric": "power", "value": NaN}',
            "trace: line[1]: value of power (found nan, allowed",
        ),
        (
            b'{"seconds": 1, "metric": "power", "value": true}',
            "trace: line[1]: value of power (found True, allowed",
        ),
        (
            b'{"seconds": 1, "metric": "power", "value": 1' + b"0" * 400 + b"}",
            "trace: line[1]: value of power (found 1",
        ),
        (
            b'{"seconds": "1", "metric": "power", "value": 1}',
            "trace: line[1]: seconds (found '1', allowed a finite",
        ),
        (
            b'{"seconds": 1, "metric": "charge_state", "value": 1}',
            "trace: line[1]: value of charge_state (found 1,",
        ),
        (
            b'{"seconds": 1, "metric": "charge_state", "value": "\\u001b[2J"}',
            "trace: line[1]: value of charge_state",
        ),
        (
            TRACE + b'{"seconds": 9, "metric": "power", "value": 1}',
            "trace: line[5]: seconds run backwards (found 9.0",
        ),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(line: bytes, sentence: str) -> None:
    with pytest.raises(FormatError) as refused:
        TraceSource(line)
    assert str(refused.value).startswith(sentence)


def test_a_damaged_trace_is_refused_or_read_and_nothing_else_escapes() -> None:
    chance = random.Random(11)
    for _ in range(500):
        data = bytearray(TRACE)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            source = TraceSource(bytes(data))
        except FormatError:
            continue
        source.read(0.0, {})


def test_a_trace_beyond_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="trace_bytes"):
        TraceSource(b"\n" * (NOTIFIER.trace_bytes + 1))


def test_a_modelled_battery_empties_by_idle_power_and_load() -> None:
    """An hour at half load, between 1 W and 5 W, takes 3 Wh of 12."""
    clock, load = Clock(), Told({Metric.CPU_UTILISATION: 50.0})
    notifier = Notifier([load, BatterySource(BatteryModel(12.0, 1.0, 5.0, 80.0))], clock=clock)
    notifier.sample()
    clock.seconds = 3600.0
    readings = notifier.sample().readings
    assert readings[Metric.POWER].value == 3.0
    assert readings[Metric.BATTERY_LEVEL].value == pytest.approx(55.0)
    assert readings[Metric.BATTERY_LEVEL].provenance is Provenance.MODELLED
    clock.seconds = 1e9
    assert notifier.sample().readings[Metric.BATTERY_LEVEL].value == 0.0


@pytest.mark.parametrize(
    "figures", [(0.0, 1.0, 2.0), (1.0, -1.0, 2.0), (1.0, 3.0, 2.0), (1.0, 1.0, float("nan"))]
)
def test_figures_of_no_battery_are_refused(figures: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="is no battery"):
        BatteryModel(*figures)


def test_the_round_trip_is_measured_now_and_then_and_absent_when_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = RoundTripSource(f"http://127.0.0.1:{server.getsockname()[1]}", period_seconds=60)
        (first,) = source.read(0.0, {})
        (second,) = source.read(59.0, {})
        assert isinstance(first, Reading)
        assert 0 < float(first.value) < 2
        assert first is second
    (third,) = source.read(60.0, {})
    assert isinstance(third, Absent)
    assert third.looked_at.endswith(": not reached")
