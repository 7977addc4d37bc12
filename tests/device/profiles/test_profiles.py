"""Device and network files: those of the package are whole, and others are refused with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.device.profiles import (
    device_names,
    load_device,
    load_network,
    network_names,
    read_device,
    read_network,
)
from lawow.device.provenance import Provenance
from lawow.errors import FormatError, LimitExceeded, UsageError

FIGURE = '{ value = 2.0, provenance = "measured", source = "a meter" }'
DEVICE = f"""name = "d"
description = "a device"
idle_watts = {FIGURE}
busy_watts = {FIGURE}
offloaded_watts = {{ default = {FIGURE} }}
slowdown = {{ default = {FIGURE} }}
"""
PHASE = """[[phase]]
starts_seconds = {starts}
round_trip_seconds = 0.01
jitter_seconds = 0
up_bytes_per_second = 1000
down_bytes_per_second = 2000
loss = 0
"""
NETWORK = 'name = "n"\nkind = "n"\ndescription = "n"\nprovenance = "modelled"\nsource = "assumed"\n'


@pytest.mark.parametrize("name", device_names())
def test_every_figure_of_a_device_tells_where_it_is_from(name: str) -> None:
    device = load_device(name)
    assert device.name == name
    figures = [
        device.idle_watts,
        device.busy_watts,
        *device.offloaded_watts.values(),
        *device.slowdown.values(),
    ]
    assert all(len(figure.source) > 10 for figure in figures)


@pytest.mark.parametrize("name", network_names())
def test_networks_of_the_package_are_read(name: str) -> None:
    assert load_network(name).at(0.0).round_trip_seconds > 0


def test_the_papers_devices_and_the_usual_networks_are_there() -> None:
    assert {"pi3b", "jetson-nano", "mate10"} <= set(device_names())
    assert {"lan", "wifi", "5g", "4g"} <= set(network_names())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (', source = "a meter"', "", "lacks source"),
        ('"measured"', '"guessed"', "measured, emulated, modelled"),
        ("2.0", "-1.0", "out of range"),
        ("2.0", "nan", "out of range"),
        ("2.0", "true", "must be a number"),
        ("default", "other", "lacks default"),
        ("idle_watts", "idel_watts", "idel_watts"),
        ('"a device"', '" "', "not empty"),
        (FIGURE, "2", "must be a table"),
    ],
)
def test_a_device_file_with_one_fault_is_refused_with_its_place(old: str, new: str, sentence: str) -> None:
    assert read_device(DEVICE.encode(), "d.toml").idle_watts.provenance is Provenance.MEASURED
    with pytest.raises(FormatError, match=r"^d\.toml: ") as caught:
        read_device(DEVICE.replace(old, new).encode(), "d.toml")
    assert sentence in str(caught.value)


def test_a_device_that_draws_less_when_busy_is_refused() -> None:
    text = DEVICE.replace("busy_watts = { value = 2.0", "busy_watts = { value = 1.0")
    with pytest.raises(FormatError, match="below idle_watts"):
        read_device(text.encode(), "d.toml")


def test_a_phase_is_in_force_until_the_next_one_begins() -> None:
    text = NETWORK + PHASE.format(starts=0) + PHASE.format(starts=5).replace("0.01", "0.02")
    network = read_network(text.encode(), "n.toml")
    assert [network.at(time).round_trip_seconds for time in (0, 4.999, 5, 1e9)] == [0.01, 0.01, 0.02, 0.02]


@pytest.mark.parametrize("starts", [(1,), (0, 5, 4)])
def test_phases_out_of_order_are_refused(starts: tuple[int, ...]) -> None:
    text = NETWORK + "".join(PHASE.format(starts=item) for item in starts)
    with pytest.raises(FormatError, match="out of order"):
        read_network(text.encode(), "n.toml")


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6))
def test_more_bytes_never_travel_in_less_time(sent: int, received: int, more: int) -> None:
    phase = load_network("4g").at(0)
    before = phase.transfer_seconds(sent, received)
    assert phase.transfer_seconds(sent + more, received) >= before
    assert phase.transfer_seconds(sent, received + more) >= before


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_files_raise_a_refusal_and_nothing_else(junk: bytes, place: int) -> None:
    for text, read in ((DEVICE, read_device), (NETWORK + PHASE.format(starts=0), read_network)):
        data = text.encode()
        try:
            read(data[:place] + junk + data[place + len(junk) :], "x.toml")
        except FormatError:
            continue


def test_a_name_that_is_none_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="jetson-nano, mate10, pi3b"):
        load_device("pi4")
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (300 << 10))
    with pytest.raises(LimitExceeded):
        load_device(str(large))
