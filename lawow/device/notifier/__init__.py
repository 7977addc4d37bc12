"""The Notifier: what a device measures of itself, behind one API, and triggers on it."""

from __future__ import annotations

from lawow.device.notifier.notifier import Notifier
from lawow.device.notifier.readings import UNITS, Reading
from lawow.device.notifier.sources import ModelSource, ReplaySource, Source
from lawow.device.notifier.sysfs import LinuxSource
from lawow.device.notifier.triggers import AllOf, AnyOf, Condition, Trigger

__all__ = [
    "UNITS",
    "AllOf",
    "AnyOf",
    "Condition",
    "LinuxSource",
    "ModelSource",
    "Notifier",
    "Reading",
    "ReplaySource",
    "Source",
    "Trigger",
]
