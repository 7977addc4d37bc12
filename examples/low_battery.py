"""A counter that goes to an edge when the battery runs low, and comes home when it is charged.

    LAWOW_TOKEN=... python examples/low_battery.py https://HOST:PORT SHA256

The battery is a trace here, played a hundred times as fast; on a device take `LinuxSource()` in its place.
"""

from __future__ import annotations

import os
import sys
import time

from wasmtime import wat2wasm

from lawow.device.edge_client import EdgeClient
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_module import ElasticModule
from lawow.device.notifier import Metric, Notifier, TraceSource, all_of, below, equals
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Remote

COUNTER = wat2wasm(
    """(module (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))"""
)
BATTERY = b"""
{"seconds": 0, "metric": "battery_level", "value": 34}
{"seconds": 0, "metric": "charge_state", "value": "discharging"}
{"seconds": 50, "metric": "battery_level", "value": 29}
{"seconds": 150, "metric": "battery_level", "value": 33}
{"seconds": 150, "metric": "charge_state", "value": "charging"}
"""
SPEED = 100


def main(url: str, pin: str = "") -> None:
    """Follow the battery: one call at home, one on the edge, one at home again."""
    counter = ElasticModule(bytes(COUNTER), keeps_state=True)
    add = ElasticFunction(counter, "add", policy=Remote())
    notifier = Notifier([TraceSource(BATTERY)], period_seconds=0.05, clock=lambda: SPEED * time.monotonic())
    low = all_of(below(Metric.BATTERY_LEVEL, 30, hysteresis=5), equals(Metric.CHARGE_STATE, "discharging"))
    print(f"add(1) = {add(1)}")
    with EdgeClient(url, os.environ["LAWOW_TOKEN"], certificate_sha256=pin or None) as edge:
        handler = OffloadHandler(edge)
        events = notifier.events(low)
        with notifier:
            for event in events:
                level = event.sample.readings[Metric.BATTERY_LEVEL].value
                if event.is_active:
                    print(f"battery {level:.0f} %, discharging: to {counter.offload(handler).host}")
                    print(f"add(10) = {add(10)}")
                else:
                    counter.recall()
                    print(f"battery {level:.0f} %, charging: home")
                    print(f"add(100) = {add(100)}")
                    break


if __name__ == "__main__":
    main(*sys.argv[1:])
