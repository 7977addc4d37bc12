"""Energy ledgers as JSON lines, one call each: what `dev.lawow.EnergyLedger` writes on a phone.

Of each line are read ``export``, ``place`` (local, remote), ``seconds``, ``mwh_per_call``, ``provenance`` and
``source``. The lines are a trace, too (`lawow.device.simulate.workload`): what else stands there is the
trace's. Refuses, as `FormatError` with file and line, whatever is no such object, and numbers that are none
or out of range; as `LimitExceeded` more lines than a trace may have. Of a file with a wrong line nothing is
taken.
"""

from __future__ import annotations

import json

from lawow.device.energy import EnergyLedger, EnergySample
from lawow.device.policy.basic import Place
from lawow.device.provenance import Provenance
from lawow.device.simulate.workload import LINE_BYTES, NUMBERS, TRACE_CALLS, number_of
from lawow.errors import FormatError, LimitExceeded

__all__ = ["energy_line", "read_energy"]

MOST_MWH = 1e9
TEXT = 1000
"""Characters of a name or a source."""


def read_energy(data: bytes, file: str) -> EnergyLedger:
    """Return the ledger that the lines are. Raises `FormatError`, `LimitExceeded`."""
    lines = data.splitlines()
    if len(lines) > TRACE_CALLS:
        raise LimitExceeded("TRACE_CALLS", len(lines), TRACE_CALLS, subject=file)
    ledger = EnergyLedger()
    for sample in [_sample(line, index, file) for index, line in enumerate(lines)]:
        ledger.add(sample)
    return ledger


def energy_line(sample: EnergySample) -> str:
    """Return a sample as a line, without its end."""
    return json.dumps(
        {
            "export": sample.export,
            "place": sample.place.value,
            "seconds": sample.seconds,
            "mwh_per_call": sample.mwh_per_call,
            "provenance": sample.provenance.value,
            "source": sample.source,
        }
    )


def _sample(line: bytes, index: int, file: str) -> EnergySample:
    try:
        if len(line) > LINE_BYTES:
            raise ValueError(f"longer than {LINE_BYTES} bytes")
        entry = json.loads(line)
        if not isinstance(entry, dict) or "mwh_per_call" not in entry:
            raise ValueError("no object with mwh_per_call")
        return EnergySample(
            _text(entry, "export"),
            Place(_text(entry, "place")),
            number_of(entry, "seconds", NUMBERS["seconds"]),
            number_of(entry, "mwh_per_call", MOST_MWH),
            Provenance(_text(entry, "provenance")),
            _text(entry, "source"),
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"is no call with its energy: {error}", structure="line", index=index + 1, file=file
        ) from None


def _text(entry: dict[str, object], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.isprintable() or len(value) > TEXT:
        raise ValueError(f"{key} is no printable text of up to {TEXT} characters")
    return value
