"""A device as the cost model sees it: how much slower than the edge, and what it draws while it does what.

`slowdown` is how many times as long as on the edge a piece of work takes here, by workload, with ``default``
for all others. `offloaded_watts` is what the whole device draws while a call runs elsewhere, by network, also
with ``default``: idle, the radio, and the part of the processor that sends, receives and encodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lawow.device.profiles.reading import figure_of, known_keys, load, names_in, table_of, text_of, toml_of
from lawow.device.provenance import Figure
from lawow.errors import FormatError

__all__ = ["DeviceProfile", "device_names", "load_device", "read_device"]

FOLDER = "devices"
WATTS = (0.0, 10_000.0)
SLOWDOWN = (0.001, 100_000.0)
CAPACITY = (0.0, 1_000_000.0)


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One device. Power in watts of the whole device; `battery_mwh` is None for one without a battery."""

    name: str
    description: str
    idle_watts: Figure
    busy_watts: Figure
    offloaded_watts: Mapping[str, Figure]
    slowdown: Mapping[str, Figure]
    battery_mwh: Figure | None

    def slowdown_of(self, workload: str) -> Figure:
        """Return how many times as long as on the edge the workload takes here."""
        return self.slowdown.get(workload, self.slowdown["default"])

    def offloaded_watts_on(self, network: str) -> Figure:
        """Return what the device draws while a call runs on the edge, over this kind of network."""
        return self.offloaded_watts.get(network, self.offloaded_watts["default"])


def device_names() -> list[str]:
    """Return the devices that come with the package."""
    return names_in(FOLDER)


def load_device(name: str) -> DeviceProfile:
    """Read a device by name or from a ``.toml`` file. Raises as `read_device` and `UsageError`, `OSError`."""
    file, data = load(name, FOLDER, "device")
    return read_device(data, file)


def read_device(data: bytes, file: str) -> DeviceProfile:
    """Read the text of a device file. Raises `FormatError` with file, key, found and allowed."""
    table = toml_of(data, file)
    required = {"name", "description", "idle_watts", "busy_watts", "offloaded_watts", "slowdown"}
    known_keys(table, required, {"battery_mwh"}, file=file, place="")
    battery = table.get("battery_mwh")
    device = DeviceProfile(
        text_of(table["name"], file=file, place="name"),
        text_of(table["description"], file=file, place="description"),
        figure_of(table["idle_watts"], *WATTS, file=file, place="idle_watts"),
        figure_of(table["busy_watts"], *WATTS, file=file, place="busy_watts"),
        _figures(table["offloaded_watts"], WATTS, file, "offloaded_watts"),
        _figures(table["slowdown"], SLOWDOWN, file, "slowdown"),
        None if battery is None else figure_of(battery, *CAPACITY, file=file, place="battery_mwh"),
    )
    if device.busy_watts.value < device.idle_watts.value:
        raise FormatError(
            "is below idle_watts",
            structure="busy_watts",
            found=device.busy_watts.value,
            allowed=f"{device.idle_watts.value:g} or more",
            file=file,
        )
    return device


def _figures(value: object, bounds: tuple[float, float], file: str, place: str) -> dict[str, Figure]:
    table = table_of(value, file=file, place=place)
    if "default" not in table:
        raise FormatError("lacks default", structure=place, file=file)
    return {key: figure_of(item, *bounds, file=file, place=f"{place}.{key}") for key, item in table.items()}
