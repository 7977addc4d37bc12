"""Samples, subscribers and iterators, with a clock that the test sets; the thread with a real one."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from lawow.device.notifier import Absent, Event, Metric, Notifier, Reading, Triggered, all_of, below, equals
from lawow.device.policy import ElasticCall, Place
from lawow.errors import UsageError
from lawow.limits import NOTIFIER
from tests.device.notifier.builders import Clock, Told

LOW = below(Metric.BATTERY_LEVEL, 30, hysteresis=5)


class Device:
    """A notifier whose battery the test sets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told = Told()
        self.notifier = Notifier([self.told], clock=self.clock)

    def at(self, seconds: float, level: float) -> None:
        self.clock.seconds = seconds
        self.told.values[Metric.BATTERY_LEVEL] = level
        self.notifier.sample()


def test_a_subscriber_hears_each_change_once_with_its_sample() -> None:
    device, heard = Device(), []
    device.notifier.subscribe(LOW, heard.append)
    for seconds, level in enumerate((50, 29, 28, 33, 36, 31)):
        device.at(seconds, level)
    assert [(event.is_active, event.sample.seconds) for event in heard] == [(True, 1), (False, 4)]
    assert heard[0].sample.readings[Metric.BATTERY_LEVEL].value == 29
    assert heard[0].trigger is LOW


def test_a_closed_subscription_hears_nothing_more() -> None:
    device, heard = Device(), []
    subscription = device.notifier.subscribe(LOW, heard.append)
    device.at(0, 29)
    subscription.close()
    device.at(1, 50)
    assert [event.is_active for event in heard] == [True]


def test_a_callback_may_subscribe_close_and_read() -> None:
    device, heard = Device(), []

    def react(event: Event) -> None:
        heard.append(device.notifier.latest is event.sample)
        device.notifier.subscribe(LOW, lambda event: heard.append("inner"))
        subscription.close()

    subscription = device.notifier.subscribe(LOW, react)
    device.at(0, 29)
    device.at(1, 29)
    assert heard == [True, "inner"]


def test_a_callback_may_close_the_notifier() -> None:
    device, heard = Device(), []
    closed = device.notifier.subscribe(LOW, heard.append)
    device.notifier.subscribe(LOW, lambda event: (closed.close(), device.notifier.close()))
    device.notifier.subscribe(LOW, lambda event: heard.append("after the end"))
    device.at(0, 29)
    device.at(1, 50)
    assert [event.is_active for event in heard] == [True]


def test_an_iterator_ends_when_a_source_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda error: raised.append(str(error.exc_value)))

    class Broken:
        def read(self, seconds: float, known: object) -> list[Reading | Absent]:
            raise RuntimeError("a defect of a source")

    notifier = Notifier([Broken()])
    events = notifier.events(LOW)
    notifier.start()
    assert list(events) == []
    notifier.close()
    assert raised == ["a defect of a source"]


def test_a_callback_that_raises_is_logged_and_the_others_are_called(caplog: pytest.LogCaptureFixture) -> None:
    device, heard = Device(), []

    def broken(event: Event) -> None:
        raise ValueError("of the application")

    device.notifier.subscribe(LOW, broken)
    device.notifier.subscribe(LOW, heard.append)
    with caplog.at_level(logging.ERROR, "lawow.notifier"):
        device.at(0, 29)
    assert len(heard) == 1
    assert "of the application" in caplog.text


def test_the_first_source_that_has_a_metric_counts() -> None:
    first, second = Told({Metric.SIGNAL: -50.0}), Told({Metric.SIGNAL: -90.0, Metric.POWER: 2.0})
    readings = Notifier([first, second]).sample().readings
    assert (readings[Metric.SIGNAL].value, readings[Metric.POWER].value) == (-50.0, 2.0)


def test_what_the_application_reports_stands_for_its_time() -> None:
    device = Device()
    device.notifier.report(Metric.THROUGHPUT, 2.5e6, source="transfer of 1 MiB", valid_seconds=10)
    device.at(10, 50)
    assert device.notifier.latest.readings[Metric.THROUGHPUT].value == 2.5e6
    device.at(10.5, 50)
    assert Metric.THROUGHPUT not in device.notifier.latest.readings


def test_the_thread_samples_and_an_iterator_ends_with_the_notifier() -> None:
    told = Told({Metric.BATTERY_LEVEL: 29.0})
    heard: list[bool] = []
    with Notifier([told], period_seconds=0.01) as notifier:
        events = notifier.events(LOW)
        heard.append(next(events).is_active)
        told.values = {Metric.BATTERY_LEVEL: 90.0}
        heard.append(next(events).is_active)
        reader = threading.Thread(target=lambda: heard.extend(event.is_active for event in events))
        reader.start()
    reader.join(10)
    assert not reader.is_alive()
    assert heard == [True, False]
    with pytest.raises(UsageError, match="closed"):
        notifier.start()


def test_an_event_loop_waits_without_being_blocked() -> None:
    async def read() -> list[bool]:
        told = Told({Metric.BATTERY_LEVEL: 50.0})
        heard = []
        with Notifier([told], period_seconds=0.01) as notifier, notifier.events(LOW) as events:
            asyncio.get_running_loop().call_later(0.02, told.values.update, {Metric.BATTERY_LEVEL: 29.0})
            async for event in events:
                heard.append(event.is_active)
                break
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            waiting.cancel()
            events.close()
            heard += [event.is_active async for event in events]
        return heard

    assert asyncio.run(asyncio.wait_for(read(), 10)) == [True]


def test_a_loop_that_is_gone_takes_nothing_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """A coroutine that was waiting when its loop was closed must not keep others from hearing."""
    device, heard = Device(), []
    events = device.notifier.events(LOW)
    loop = asyncio.new_event_loop()
    waiting = events.__anext__()
    task = loop.create_task(waiting)  # type: ignore[arg-type]
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    device.notifier.subscribe(LOW, heard.append)
    device.at(0, 29)
    assert len(heard) == 1
    assert not caplog.records
    assert next(events).is_active
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_events_that_nobody_takes_are_bounded_and_counted() -> None:
    device = Device()
    events = device.notifier.events(below(Metric.BATTERY_LEVEL, 30))
    for turn in range(NOTIFIER.events + 10):
        device.at(turn, 29 if turn % 2 == 0 else 31)
    events.close()
    kept = list(events)
    assert (len(kept), events.missed) == (NOTIFIER.events, 10)
    assert kept[-1].sample.seconds == NOTIFIER.events + 9


def test_a_period_that_would_never_rest_is_refused() -> None:
    for period in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="period_seconds"):
            Notifier([], period_seconds=period)


def test_calls_of_an_elastic_function_go_to_the_edge_while_the_trigger_is_active() -> None:
    device = Device()
    policy = Triggered(device.notifier, all_of(LOW, equals(Metric.NETWORK_KIND, "wifi")))
    call = ElasticCall("00" * 32, "square", 1, None)
    places = []
    for seconds, level, kind in ((0, 80, "wifi"), (1, 20, "wifi"), (2, 20, "none")):
        device.told.values[Metric.NETWORK_KIND] = kind
        device.at(seconds, level)
        places.append(policy.decide(call))
    assert places == [Place.LOCAL, Place.REMOTE, Place.LOCAL]
