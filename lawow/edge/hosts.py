"""Hosts of an edge: what each offers to a module, and where each figure comes from.

This host is described by looking at it (`look_at_this_host`): processors, the workers' engine and its
version, device nodes of confidential machines. Modules reach no accelerator on it, so it offers none,
whatever is plugged in. Other hosts, and all prices and energies, are an operator's statements and say so.
What is not known is None: a requirement about it is then not met.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from lawow.limits import EDGE, EdgeLimits
from lawow.runtime.places import VERSION

__all__ = ["HERE", "PROVENANCES", "Figure", "Host", "look_at_this_host"]

HERE = "this-host"
PROVENANCES = ("measured", "modelled", "stated")
TEE_DEVICES = {"sev-guest": "sev-snp", "tdx_guest": "tdx"}
"""Device nodes that the kernel shows inside a confidential virtual machine, and the technology of each."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number whose unit its place says, how it was come by (`PROVENANCES`) and a word on the source."""

    value: float
    provenance: str
    source: str = ""

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"value": self.value, "provenance": self.provenance, "source": self.source}


@dataclass(frozen=True, slots=True)
class Host:
    """What one host offers. `url` is "" for the host that answers; `tee` is "" for an ordinary machine.

    `round_trip_seconds`, `price_per_hour` (in `currency`) and `energy_mwh_per_call` are None if not known.
    """

    name: str
    url: str
    certificate_sha256: str
    cpu_cores: int
    memory_bytes: int
    engine: str
    engine_version: str
    accelerators: tuple[str, ...] = ()
    tee: str = ""
    currency: str = ""
    round_trip_seconds: Figure | None = None
    price_per_hour: Figure | None = None
    energy_mwh_per_call: Figure | None = None
    is_looked_up: bool = False

    @property
    def is_here(self) -> bool:
        """Whether this very edge runs on it."""
        return not self.url

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        figures = {
            "round_trip_seconds": self.round_trip_seconds,
            "price_per_hour": self.price_per_hour,
            "energy_mwh_per_call": self.energy_mwh_per_call,
        }
        return {
            "name": self.name,
            "url": self.url or None,
            "certificate_sha256": self.certificate_sha256 or None,
            "cpu_cores": self.cpu_cores,
            "memory_bytes": self.memory_bytes,
            "engine": self.engine,
            "engine_version": self.engine_version,
            "accelerators": list(self.accelerators),
            "tee": self.tee or None,
            "currency": self.currency or None,
            "provenance": "looked-up" if self.is_looked_up else "stated",
            **{name: None if figure is None else figure.document() for name, figure in figures.items()},
        }

    def with_round_trip(self, seconds: float | None) -> Host:
        """Return this host with the round trip that the asking device measured to it, if it did."""
        if seconds is None:
            return self
        return replace(self, round_trip_seconds=Figure(seconds, "measured", "by the device that asks"))


def look_at_this_host(limits: EdgeLimits = EDGE, devices: Path = Path("/dev")) -> Host:
    """Describe the machine that this process runs on; `devices` is where its device nodes lie."""
    tees = [name for node, name in TEE_DEVICES.items() if (devices / node).exists()]
    return Host(
        HERE,
        "",
        "",
        cpu_cores=len(os.sched_getaffinity(0)),
        memory_bytes=limits.memory_bytes,
        engine="wasmtime",
        engine_version=VERSION,
        tee=tees[0] if tees else "",
        is_looked_up=True,
    )
