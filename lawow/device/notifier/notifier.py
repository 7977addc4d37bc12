"""The Notifier: one thread that reads all sources at a slow rate, judges triggers and tells subscribers.

It costs little because it sleeps: by default it reads every five seconds, which is often for a battery and
for temperatures. Callbacks run on its thread, one after the other, and hold the next sample up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lawow.device.notifier.events import Event, Events
from lawow.device.notifier.metrics import Metric, Provenance, Reading, Sample, Source
from lawow.device.notifier.triggers import Trigger, Watch
from lawow.errors import UsageError

__all__ = ["DEFAULT_PERIOD_SECONDS", "Notifier", "Subscription"]

DEFAULT_PERIOD_SECONDS = 5.0
LEAST_PERIOD_SECONDS = 0.01
LOG = logging.getLogger("lawow.notifier")


@dataclass(slots=True, eq=False)
class Subscription:
    """A trigger that somebody waits for. `close` ends it; a callback that runs goes on to its end."""

    trigger: Trigger
    callback: Callable[[Event], None]
    watch: Watch
    is_active: bool = False
    is_closed: bool = False

    def close(self) -> None:
        """Tell the subscriber nothing more."""
        self.is_closed = True


class Notifier:
    """Metrics of this device from several sources behind one API. Any thread may use it.

    Of a metric that two sources have, the first source's reading counts.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        period_seconds: float = DEFAULT_PERIOD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not period_seconds >= LEAST_PERIOD_SECONDS:
            raise UsageError(
                f"period_seconds is {period_seconds}; allowed is {LEAST_PERIOD_SECONDS} and more"
            )
        self._sources = tuple(sources)
        self._period_seconds = period_seconds
        self._clock = clock
        self._lock = threading.RLock()  # guards what follows; a callback may subscribe
        self._latest = Sample(clock())
        self._subscriptions: list[Subscription] = []
        self._iterators: list[Events] = []
        self._listeners: list[Callable[[Sample], None]] = []
        self._report_lock = threading.Lock()  # apart: who reports must not wait for a source that is read
        self._reported: dict[Metric, tuple[float, Reading]] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Notifier:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:
        """Sample at once and then every period, in a daemon thread. Raises `UsageError` if closed."""
        with self._lock:
            if self._ended.is_set():
                raise UsageError("this notifier is closed; make another one")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lawow-notifier", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, all subscriptions and all iterators; wait for the callback that runs."""
        self._ended.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._end_subscriptions()

    @property
    def latest(self) -> Sample:
        """The newest sample; empty before the first one."""
        return self._latest

    def sample(self) -> Sample:
        """Read all sources now, judge the triggers, tell subscribers in this thread, return what was read."""
        with self._lock:
            self._latest = sample = self._read()
            self._tell(sample)
            self._subscriptions = [item for item in self._subscriptions if not item.is_closed]
            for subscription in list(self._subscriptions):
                if not subscription.is_closed:  # by a callback before this one
                    self._judge(subscription, sample)
            return sample

    def report(self, metric: Metric, value: float, *, source: str, valid_seconds: float = 60.0) -> None:
        """Take what the application measured itself: the round trip of a call, the throughput of a transfer.

        It stands in all samples of the next `valid_seconds`, before what sources say; listeners hear of it
        at once, in this thread.
        """
        now = self._clock()
        reading = Reading(metric, value, Provenance.MEASURED, now, source)
        with self._report_lock:
            self._reported[metric] = (now + valid_seconds, reading)
        self._tell(Sample(now, {metric: reading}))

    def listen(self, listener: Callable[[Sample], None]) -> Callable[[], None]:
        """Have `listener` called with each sample, and with each report as a sample of that alone.

        Call what is returned to hear no more. Raising, a listener is logged as a callback of `subscribe`.
        """
        with self._report_lock:
            self._listeners = [*self._listeners, listener]
        return lambda: self._forget_listener(listener)

    def subscribe(self, trigger: Trigger, callback: Callable[[Event], None]) -> Subscription:
        """Have `callback` called with an `Event` whenever the trigger becomes active or inactive.

        A callback that raises is logged (``lawow.notifier``), and called again the next time.
        """
        subscription = Subscription(trigger, callback, trigger.watch())
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def events(self, trigger: Trigger) -> Events:
        """Return the trigger's events to iterate over, with ``for`` or ``async for``, until it is closed."""
        events = Events(self._forget)
        with self._lock:
            events.subscription = self.subscribe(trigger, events.put)
            self._iterators.append(events)
        return events

    def _forget_listener(self, listener: Callable[[Sample], None]) -> None:
        with self._report_lock:
            self._listeners = [item for item in self._listeners if item is not listener]

    def _tell(self, sample: Sample) -> None:
        for listener in self._listeners:
            try:
                listener(sample)
            except Exception:  # somebody else's code, as below
                LOG.exception("a listener raised")

    def _forget(self, events: Events) -> None:
        with self._lock:
            if events in self._iterators:
                self._iterators.remove(events)

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self.sample()
                self._ended.wait(self._period_seconds)
        finally:  # also if a source raised: nobody shall wait for events that cannot come
            self._end_subscriptions()

    def _end_subscriptions(self) -> None:
        with self._lock:
            for subscription in self._subscriptions:
                subscription.close()
            iterators = list(self._iterators)
        for events in iterators:
            events.close()

    def _read(self) -> Sample:
        now = self._clock()
        with self._report_lock:
            reported = list(self._reported.items())
        readings = {metric: reading for metric, (end, reading) in reported if now <= end}
        absent: dict[Metric, str] = {}
        for source in self._sources:
            for found in source.read(now, readings):
                if isinstance(found, Reading):
                    readings.setdefault(found.metric, found)
                else:
                    before = absent.get(found.metric)
                    absent[found.metric] = f"{before}; {found.looked_at}" if before else found.looked_at
        return Sample(
            now, readings, {metric: text for metric, text in absent.items() if metric not in readings}
        )

    def _judge(self, subscription: Subscription, sample: Sample) -> None:
        is_active = subscription.watch.update(sample)
        if is_active == subscription.is_active:
            return
        subscription.is_active = is_active
        try:
            subscription.callback(Event(subscription.trigger, is_active, sample))
        except Exception:  # somebody else's code; the others must hear of their triggers all the same
            LOG.exception("a subscriber's callback raised")
