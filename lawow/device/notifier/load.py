"""Load, temperature and throttling on Linux: ``/proc/stat``, thermal zones, hwmon, GPU drivers.

Source: proc_pid_stat(5) and the kernel's Documentation: sysfs-class-thermal, hwmon/sysfs-interface (both in
thousandths of a degree), gpu/amdgpu (``gpu_busy_percent``). Adreno's and Tegra's drivers have their own.
"""

from __future__ import annotations

from lawow.device.notifier.tree import Missing, Tree, number

__all__ = ["Cpu", "gpu_utilisation", "hottest", "throttling"]

THERMAL, HWMON, DRM = "/sys/class/thermal", "/sys/class/hwmon", "/sys/class/drm"
ADRENO = "/sys/class/kgsl/kgsl-3d0/gpu_busy_percentage"
TEGRA = "/sys/devices/gpu.0/load"
LEAST_MILLIDEGREES, MOST_MILLIDEGREES = -60_000, 200_000
COUNTED = 8
"""user nice system idle iowait irq softirq steal; guest times, which follow, are in user and nice already."""
IDLE = (3, 4)


class Cpu:
    """The share of all processors' time that was used since the reading before."""

    PATH = "/proc/stat"

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._before: tuple[int, int] | None = None

    def utilisation(self) -> tuple[float, str]:
        """Return the share in percent, and the file."""
        used, everything = self._times()
        before, self._before = self._before, (used, everything)
        if before is None or everything <= before[1]:
            raise Missing(f"{self.PATH}: needs a second reading")
        share = 100 * (used - before[0]) / (everything - before[1])
        return min(max(share, 0.0), 100.0), self.PATH  # iowait may run backwards, says the manual

    def _times(self) -> tuple[int, int]:
        words = self._tree.text(self.PATH).partition("\n")[0].split()
        if len(words) <= COUNTED or words[0] != "cpu":
            raise Missing(f"{self.PATH}: its first line is not that of all processors")
        times = [number(word, self.PATH, 0, 2**64) for word in words[1 : COUNTED + 1]]
        return sum(times) - sum(times[at] for at in IDLE), sum(times)


def gpu_utilisation(tree: Tree) -> tuple[float, str]:
    """Return what the busiest GPU does, in percent, and the file."""
    cards = [f"{DRM}/{name}/device/gpu_busy_percent" for name in tree.names(DRM) if name[4:].isdigit()]
    scales = [*((path, 1) for path in cards), (ADRENO, 1), (TEGRA, 10)]
    found = [(tree.number(path, 0, 100 * scale) / scale, path) for path, scale in scales if tree.holds(path)]
    if not found:
        raise Missing(f"{DRM}/card*/device/gpu_busy_percent, {ADRENO}, {TEGRA}: not there")
    return max(found)


def hottest(tree: Tree) -> tuple[float, str]:
    """Return the temperature of the hottest sensor in degrees Celsius, and the file."""
    paths = [f"{THERMAL}/{name}/temp" for name in tree.names(THERMAL) if name.startswith("thermal_zone")]
    for chip in tree.names(HWMON):
        names = tree.names(f"{HWMON}/{chip}")
        inputs = (name for name in names if name.startswith("temp") and name.endswith("_input"))
        paths += [f"{HWMON}/{chip}/{name}" for name in inputs]
    value, path = _largest(tree, paths, f"{THERMAL}/thermal_zone*/temp, {HWMON}/*/temp*_input")
    return value / 1000, path


def throttling(tree: Tree) -> tuple[float, str]:
    """Return how far the strongest passive cooling goes, in percent of its range, and the file.

    Passive cooling slows processors down; fans cool actively and are no throttling.
    """
    found, reasons = [], []
    for name in tree.names(THERMAL):
        folder = f"{THERMAL}/{name}"
        try:
            if name.startswith("cooling_device") and _is_passive(tree.text(f"{folder}/type")):
                most = tree.number(f"{folder}/max_state", 1, 2**31)
                path = f"{folder}/cur_state"
                found.append((100 * tree.number(path, 0, most) / most, path))
        except Missing as missing:
            reasons.append(str(missing))
    if not found:
        raise Missing(reasons[0] if reasons else f"{THERMAL}/cooling_device*: no passive one there")
    return max(found)


def _is_passive(kind: str) -> bool:
    return kind == "Processor" or kind.startswith(
        ("cpufreq", "thermal-cpufreq", "cpu", "devfreq", "thermal-devfreq")
    )


def _largest(tree: Tree, paths: list[str], places: str) -> tuple[int, str]:
    """Return the largest of the numbers that can be read, and its file. One sensor may sleep or be broken."""
    found, reasons = [], []
    for path in paths:
        try:
            found.append((tree.number(path, LEAST_MILLIDEGREES, MOST_MILLIDEGREES), path))
        except Missing as missing:
            reasons.append(str(missing))
    if not found:
        raise Missing(reasons[0] if reasons else f"{places}: not there")
    return max(found)
