"""Quick calls of one function that came together, as one piece of work (`lawow.channel.bursts`).

A burst whose calls are as quick as those before is answered as a whole, and nobody has heard of its calls
before they had their results. One that takes longer is taken apart: another thread leads by then, and makes
of each of its calls a `Job`, which can be cancelled, comes too late, and outlives the connection like any
other. The guest's thread learns at the next place where it can be stopped that no further call may begin,
and says which one runs (`part`). What it has not begun waits in its client's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from lawow.channel.bursts import FRAMES_BYTES, BurstShape
from lawow.channel.server import CALL_HEAD, CALL_OPERATION, RESULT_FIELDS, ServerConnection
from lawow.edge.messages import Message, Result
from lawow.edge.plane.leases import QUICK_CALLS, Function
from lawow.edge.plane.parts import Serves
from lawow.limits import CHANNEL

if TYPE_CHECKING:
    from lawow.edge.plane.client import Client, Job

__all__ = ["Burst", "Progress", "burst_in"]

BURST_SECONDS = 0.0005
"""How long a burst should take: so many calls make one."""
NO_SHAPE = BurstShape(1, 1)


class Progress(NamedTuple):
    """So many calls of a burst have results, which are `answers`; `has_open_call`: the next one has begun."""

    answered: int
    answers: bytes
    has_open_call: bool


class Burst:
    """`frames` are all that came: calls of one function, and perhaps more, which is not looked at here.

    `progress` is the guest's thread's to replace; `parted` is what it was when no further call could begin.
    Of `told` calls the client has heard. Once it was taken apart, `jobs` are its other calls.
    """

    progress = Progress(0, b"", False)
    parted: Progress | None = None
    shape = NO_SHAPE
    told = 0
    jobs: list[Job] | None = None
    wake: Callable[[], object] | None = None
    _first = 0

    def __init__(
        self,
        client: Client,
        link: ServerConnection,
        function: Function,
        function_id: int,
        frames: bytes,
        longest_seconds: float,
    ) -> None:
        self.client = client
        self.link = link
        self.function = function
        self.function_id = function_id
        self.frames = frames
        self.last_id = link.session.last_id
        self.came = now = monotonic()
        self.until = now + longest_seconds

    @property
    def rest(self) -> bytes:
        """What came, without the calls of which the client has heard."""
        return self.frames[self.told * self.shape.call_bytes :]

    def work(self, worker: Serves) -> Message:
        """Let the worker do as much of it as it can in one go."""
        function = self.function
        left = max(self.until - monotonic(), 0.001)
        return worker.call_burst(function.lease.admitted.session, function.export, self, left)

    def learn(self, now: float) -> None:
        """Learn from how long its calls took, how many make a burst, and whether they still are quick."""
        function, took = self.function, now - self.came
        if took < BURST_SECONDS:
            if self.progress.answered >= function.most:
                function.most = min(2 * function.most, CHANNEL.calls)
        elif self.progress.answered > 1 and self.jobs is None:
            function.most = max(int(function.most * BURST_SECONDS / took), 1)
        else:
            function.quick_calls = 0

    def commit(self, now: float) -> None:
        """Send all results, as the outcomes of calls that came and went between two looks."""
        count, answers, _ = self.progress
        if count:
            lease, self.told = self.function.lease, count
            self.link.send_results(answers, self.shape.outcomes(answers), count)
            lease.calls += count
            lease.note("ok", now - self.came, count)

    @property
    def is_answered(self) -> bool:
        """Whether nothing else came than calls of whose results the client has heard."""
        return len(self.frames) == self.told * self.shape.call_bytes

    # taken apart

    def begin_jobs(self) -> list[Job]:
        """Return the list for its jobs."""
        self._first, self.jobs = self.told, []
        return self.jobs

    def part(self) -> float:
        """Take note, on the guest's thread, that one call goes on alone; return how long it may."""
        self.parted = self.progress
        if self.wake is not None:
            self.wake()
        job = self.open_job(self.parted)
        return max((job.until if job else self.until) - monotonic(), 0.001)

    def tell(self, progress: Progress, now: float) -> None:
        """Give the calls that have results their outcome, each one once."""
        answers = progress.answers[self.told * self.shape.answer_bytes :]
        for job, (_, payload) in zip(self._jobs_from(self.told), self.shape.outcomes(answers), strict=False):
            job.answer(Result(0.0, 0.0, payload[RESULT_FIELDS.size :]), now)
        self.told = progress.answered

    def open_job(self, progress: Progress) -> Job | None:
        """Return the call that has begun and has no outcome."""
        return next(iter(self._jobs_from(progress.answered)), None) if progress.has_open_call else None

    def jobs_to_begin(self, progress: Progress) -> Sequence[Job]:
        """Return the calls that have not begun."""
        return self._jobs_from(progress.answered + progress.has_open_call)

    def _jobs_from(self, index: int) -> Sequence[Job]:
        """Return its calls from one on; none where what came broke the protocol, which ends the client."""
        return (self.jobs or [])[index - self._first :]


def burst_in(
    client: Client, link: ServerConnection, data: memoryview, longest_seconds: float
) -> Burst | None:
    """Return what came as a burst if it begins like one, of a function whose calls are quick."""
    if client.jobs or client.running or client.apart or not CALL_HEAD.size <= len(data) <= FRAMES_BYTES:
        return None
    _, _, operation, _, function_id, _ = CALL_HEAD.unpack_from(data)
    if operation != CALL_OPERATION:
        return None
    function = client.functions.get(function_id)
    if function is None or function.quick_calls < QUICK_CALLS or function.result_bytes > link.result_bytes:
        return None
    return Burst(client, link, function, function_id, bytes(data), longest_seconds)
