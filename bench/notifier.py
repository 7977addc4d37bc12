"""What the Notifier costs at its default rate: processor time of a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bench import installed
from bench.table import Table

__all__ = ["measure"]

SAMPLES = 2_000
"""In one process, one after the other: the kernel's accounting is too coarse for one of them."""

MOST_PERCENT = 0.1

PROGRAM = """
import json, sys, time
from pathlib import Path
from lawow.device.notifier import DEFAULT_PERIOD_SECONDS, LinuxSource, Metric, Notifier, below
notifier = Notifier([LinuxSource(Path(sys.argv[1]))])
for limit in range(10):
    notifier.subscribe(below(Metric.BATTERY_LEVEL, limit, hysteresis=5), print)
notifier.sample()
started = time.process_time()
for _ in range(int(sys.argv[2])):
    notifier.sample()
seconds = (time.process_time() - started) / int(sys.argv[2])
print(json.dumps([seconds, DEFAULT_PERIOD_SECONDS, len(notifier.latest.readings)]))
"""

LIVE = """
import json, sys, time
from lawow.device.notifier import LinuxSource, Metric, Notifier, below
with Notifier([LinuxSource()]) as notifier:
    notifier.subscribe(below(Metric.BATTERY_LEVEL, 30), print)
    time.sleep(1)
    started = time.process_time(), time.monotonic()
    time.sleep(float(sys.argv[1]))
    print(json.dumps([time.process_time() - started[0], time.monotonic() - started[1]]))
"""
LIVE_SECONDS = 30


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure samples of this system and of a built phone with 60 thermal zones, and half a minute live."""
    rows = [_row("this system", Path("/")), _row("a phone's files, 60 thermal zones", _phone(folder))]
    used, wall = _run(LIVE, str(LIVE_SECONDS))
    rows.append((f"this system, its thread for {LIVE_SECONDS} s", "", 100 * used / wall, MOST_PERCENT, ""))
    columns = ("system", "µs a sample", "% of a processor", "goal", "metrics read")
    return (Table("The Notifier's own cost, one sample every 5 s, 10 triggers", columns, tuple(rows)),)


def _row(name: str, root: Path) -> tuple[str | float, ...]:
    seconds, period, metrics = _run(PROGRAM, str(root), str(SAMPLES))
    return (name, seconds * 1e6, 100 * seconds / period, MOST_PERCENT, str(int(metrics)))


def _run(program: str, *words: str) -> list[float]:
    command = [installed.python(), "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _phone(root: Path) -> Path:
    """Build what the source reads of a phone; on a real one drivers answer, and some take their time."""
    files = {
        "proc/stat": Path("/proc/stat").read_text(),
        "proc/net/dev": Path("/proc/net/dev").read_text(),
        "proc/net/route": Path("/proc/net/route").read_text(),
        "proc/net/wireless": "a\nb\n wlan0: 0000 57. -53. -256 0 0 0 0 0 0\n",
        **{f"sys/class/thermal/thermal_zone{zone}/temp": "41000\n" for zone in range(60)},
        **{f"sys/class/power_supply/battery/{name}": text for name, text in _BATTERY.items()},
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


_BATTERY = {
    "type": "Battery\n",
    "capacity": "42\n",
    "voltage_now": "3850000\n",
    "current_now": "-350000\n",
    "temp": "314\n",
    "status": "Discharging\n",
}
