"""The Notifier: what a device knows of its load, heat, battery and network, and when it ought to offload.

Metrics from several sources behind one API, each value with unit and provenance; triggers on them.
"""

from __future__ import annotations

from lawow.device.notifier.events import Event, Events
from lawow.device.notifier.informed import Informed, When
from lawow.device.notifier.linux import LinuxSource
from lawow.device.notifier.metrics import Absent, Metric, Provenance, Reading, Sample, Source
from lawow.device.notifier.model import BatteryModel, BatterySource
from lawow.device.notifier.notifier import DEFAULT_PERIOD_SECONDS, Notifier, Subscription
from lawow.device.notifier.psutil_source import PsutilSource
from lawow.device.notifier.round_trip import RoundTripSource
from lawow.device.notifier.trace import TraceSource, load_trace, trace_line
from lawow.device.notifier.triggered import Triggered
from lawow.device.notifier.triggers import Trigger, above, all_of, any_of, below, equals

__all__ = [
    "DEFAULT_PERIOD_SECONDS",
    "Absent",
    "BatteryModel",
    "BatterySource",
    "Event",
    "Events",
    "Informed",
    "LinuxSource",
    "Metric",
    "Notifier",
    "Provenance",
    "PsutilSource",
    "Reading",
    "RoundTripSource",
    "Sample",
    "Source",
    "Subscription",
    "TraceSource",
    "Trigger",
    "Triggered",
    "When",
    "above",
    "all_of",
    "any_of",
    "below",
    "equals",
    "load_trace",
    "trace_line",
]
