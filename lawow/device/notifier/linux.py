"""The Linux source: all metrics that /proc and /sys give, with the file that each came from.

No process is started and nothing is written. A value that is missing or nonsense is an `Absent` that names
the file; the others are read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from lawow.device.notifier import load, network
from lawow.device.notifier.metrics import Absent, Metric, Provenance, Reading
from lawow.device.notifier.power import Battery, PackagePower
from lawow.device.notifier.tree import Missing, Tree

__all__ = ["LinuxSource"]

Probe = Callable[[], tuple[float, str] | tuple[str, str]]


class LinuxSource:
    """Reads the system below `root`: this one, or a folder that is built like it."""

    def __init__(self, root: Path = Path("/")) -> None:
        tree = Tree(root)
        battery = Battery(tree)
        self._tree = tree
        self._power = PackagePower(tree)
        self._probes: dict[Metric, Probe] = {
            Metric.CPU_UTILISATION: load.Cpu(tree).utilisation,
            Metric.GPU_UTILISATION: partial(load.gpu_utilisation, tree),
            Metric.DEVICE_TEMPERATURE: partial(load.hottest, tree),
            Metric.BATTERY_TEMPERATURE: battery.temperature,
            Metric.THROTTLING: partial(load.throttling, tree),
            Metric.BATTERY_LEVEL: battery.level,
            Metric.BATTERY_VOLTAGE: battery.voltage,
            Metric.BATTERY_CURRENT: battery.current,
            Metric.CHARGE_STATE: battery.state,
            Metric.NETWORK_KIND: partial(network.kind, tree),
            Metric.SIGNAL: partial(network.signal, tree),
        }

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Read every file once. CPU and power are means since the reading before, and absent in the first."""
        power: Probe = partial(self._power.watts, seconds)
        probes = {**self._probes, Metric.POWER: power}
        found = [_probed(metric, probe, seconds) for metric, probe in probes.items()]
        return [*found, *self._traffic(seconds)]

    def _traffic(self, seconds: float) -> list[Reading | Absent]:
        metrics = (Metric.BYTES_IN, Metric.BYTES_OUT)
        try:
            received, sent, source = network.traffic(self._tree)
        except Missing as missing:
            return [Absent(metric, str(missing)) for metric in metrics]
        pairs = zip(metrics, (received, sent), strict=True)
        return [Reading(metric, value, Provenance.MEASURED, seconds, source) for metric, value in pairs]


def _probed(metric: Metric, probe: Probe, seconds: float) -> Reading | Absent:
    try:
        value, source = probe()
    except Missing as missing:
        return Absent(metric, str(missing))
    return Reading(metric, value, Provenance.MEASURED, seconds, source)
