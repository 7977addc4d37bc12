"""Data files of devices and networks: what they hold, where they lie, and how a file of one's own is read.

A name is that of a file in this package (`pi3b`, `jetson-nano`, `mate10`; `lan`, `wifi`, `5g`, `4g`),
anything that ends in ``.toml`` is a path. Every figure of a device has a provenance and a source.
"""

from __future__ import annotations

from lawow.device.profiles.device import DeviceProfile, device_names, load_device, read_device
from lawow.device.profiles.network import (
    NetworkPhase,
    NetworkProfile,
    load_network,
    network_names,
    read_network,
)

__all__ = [
    "DeviceProfile",
    "NetworkPhase",
    "NetworkProfile",
    "device_names",
    "load_device",
    "load_network",
    "network_names",
    "read_device",
    "read_network",
]
