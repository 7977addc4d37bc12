"""Readings of this machine, out of Linux's own files: /proc and /sys. No library in between, no command run.

What a machine has not, or does not let be read, is left out. Sources: the kernel's documentation, proc(5),
``Documentation/ABI/testing/sysfs-class-power``, ``sysfs-class-thermal``, ``sysfs-class-powercap``,
``sysfs-class-hwmon``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lawow.device.notifier.readings import Reading
from lawow.device.provenance import Provenance

__all__ = ["LinuxSource"]

FILE_BYTES = 64 << 10


class LinuxSource:
    """This machine. `root` is where ``proc`` and ``sys`` are; the files' names are looked up once."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        classes = root / "sys" / "class"
        self._zones = [*classes.glob("thermal/thermal_zone*/temp"), *classes.glob("hwmon/hwmon*/temp*_input")]
        self._batteries = [path.parent for path in sorted(classes.glob("power_supply/*/capacity"))]
        self._rails = sorted(classes.glob("powercap/*/energy_uj"))
        self._clocks = sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"))
        self._gpus = [
            *((path, 100.0) for path in sorted(classes.glob("drm/card*/device/gpu_busy_percent"))),
            *((path, 1000.0) for path in sorted(root.glob("sys/devices/gpu.0/load"))),
        ]
        self._before: dict[str, tuple[float, float]] = {}

    def read(self, now: float) -> Iterator[Reading]:
        """Yield what this machine tells. Utilisation and power are there from the second reading on."""
        yield from self._processor()
        yield from self._graphics()
        yield from self._heat()
        yield from self._clock()
        yield from self._battery()
        yield from self._power(now)
        yield from self._network()

    def _processor(self) -> Iterator[Reading]:
        fields = (_text(self._root / "proc/stat") or "").partition("\n")[0].split()[1:9]
        if len(fields) < 5 or not all(field.isdigit() for field in fields):
            return
        ticks = [int(field) for field in fields]
        share = self._share("cpu", sum(ticks) - ticks[3] - ticks[4], sum(ticks))
        if share is not None:
            yield _measured("cpu_utilisation", min(max(share, 0.0), 1.0), "/proc/stat")

    def _graphics(self) -> Iterator[Reading]:
        values = [
            (number / whole, path) for path, whole in self._gpus if (number := _number(path)) is not None
        ]
        if values:
            value, path = max(values)
            yield _measured("gpu_utilisation", value, path.name)

    def _heat(self) -> Iterator[Reading]:
        values = [number / 1000 for path in self._zones if (number := _number(path)) is not None]
        if values:
            yield _measured("temperature", max(values), "the hottest of thermal and hwmon")

    def _clock(self) -> Iterator[Reading]:
        losses = []
        for policy in self._clocks:
            limit, most = _number(policy / "scaling_max_freq"), _number(policy / "cpuinfo_max_freq")
            if limit is not None and most:
                losses.append(1 - min(limit / most, 1.0))
        if losses:
            yield _measured("throttled", max(losses), "cpufreq")

    def _battery(self) -> Iterator[Reading]:
        for folder in self._batteries[:1]:
            put = partial(_measured, source=f"power_supply/{folder.name}")
            if (level := _number(folder / "capacity")) is not None:
                yield put("battery_level", level / 100)
            if (volts := _number(folder / "voltage_now")) is not None:
                yield put("battery_volts", volts / 1e6)
            charging = (_text(folder / "status") or "").strip()
            if (amperes := _number(folder / "current_now")) is not None:
                # the sign differs between drivers; the status does not
                yield put("battery_amperes", abs(amperes) / 1e6 * (-1 if charging == "Discharging" else 1))
            if charging:
                yield put("battery_charging", float(charging in ("Charging", "Full")))

    def _power(self, now: float) -> Iterator[Reading]:
        """The packages' counters only: those below one (a second colon) are part of it."""
        rails = [path for path in self._rails if path.parent.name.count(":") <= 1]
        shares = []
        for path in rails:
            if (number := _number(path)) is not None:
                share = self._share(str(path), number / 1e6, now)
                if share is not None and share >= 0:  # the counter begins anew now and then
                    shares.append(share)
        if shares:
            yield _measured("power", sum(shares), "powercap, processor packages only")

    def _network(self) -> Iterator[Reading]:
        received = sent = 0
        for line in (_text(self._root / "proc/net/dev") or "").splitlines()[2:]:
            name, _, rest = line.partition(":")
            fields = rest.split()
            if name.strip() != "lo" and len(fields) >= 9 and fields[0].isdigit() and fields[8].isdigit():
                received, sent = received + int(fields[0]), sent + int(fields[8])
        yield _measured("bytes_received", received, "/proc/net/dev")
        yield _measured("bytes_sent", sent, "/proc/net/dev")
        wireless = (_text(self._root / "proc/net/wireless") or "").splitlines()[2:]
        yield _measured("network_wireless", float(bool(wireless)), "/proc/net/wireless")
        fields = wireless[0].split() if wireless else []
        if len(fields) > 3 and fields[3].rstrip(".").lstrip("-").isdigit():
            yield _measured("network_signal", float(fields[3]), "/proc/net/wireless")

    def _share(self, key: str, part: float, whole: float) -> float | None:
        """Return the growth of `part` over that of `whole` since the last time; None the first time."""
        before = self._before.get(key)
        self._before[key] = (part, whole)
        if before is None or whole <= before[1]:
            return None
        return (part - before[0]) / (whole - before[1])


def _measured(metric: str, value: float, source: str) -> Reading:
    return Reading(metric, value, Provenance.MEASURED, source)


def _text(path: Path) -> str | None:
    """Return a file's text, None if it is not there or not for us: drivers refuse with any error."""
    try:
        with path.open("rb") as stream:
            return stream.read(FILE_BYTES).decode("ascii", "replace")
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = (_text(path) or "").strip()
    return float(text) if text.lstrip("-").isdigit() and len(text) < 25 and text.count("-") <= 1 else None
