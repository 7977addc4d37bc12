"""The circuit breaker with a clock and dice of the test's own."""

from __future__ import annotations

import pytest

from lawow.device.edge_client import EdgeProblem
from lawow.device.resilience import Breaker
from lawow.errors import GuestTrap, HostLost, LawowError, OutcomeUnknown, UsageError


class World:
    """A breaker, an edge that answers or raises `error`, and a clock that the test turns."""

    def __init__(self, dice: float = 1.0) -> None:
        self.now = 0.0
        self.error: LawowError | None = None
        self.sent = 0
        self.breaker = Breaker(
            losses=3, first_seconds=1, longest_seconds=5, clock=lambda: self.now, dice=lambda: dice
        )

    def _run(self) -> str:
        self.sent += 1
        if self.error is not None:
            raise self.error
        return "done"

    def call(self, *, edge: str = "edge", is_abandoned: bool = False) -> str:
        """Return ``done``, or the class of what was raised."""
        try:
            return self.breaker.call(edge, self._run, lambda: is_abandoned)
        except LawowError as error:
            return type(error).__name__

    def lose(self, times: int = 3) -> None:
        self.error = HostLost("gone")
        for _ in range(times):
            self.call()


def test_after_losses_in_a_row_nothing_is_sent() -> None:
    world = World()
    world.lose(2)
    assert world.breaker.refusal("edge") is None
    world.lose(1)
    assert [world.call() for _ in range(100)] == ["HostLost"] * 100
    assert world.sent == 3
    refusal = world.breaker.refusal("edge")
    assert refusal == "edge was lost 3 times in a row and is not called; it is probed in 1.0 s"
    assert (world.breaker.refusal("other"), world.sent) == (None, 3)


def test_losses_that_are_not_in_a_row_change_nothing() -> None:
    world = World()
    for _ in range(10):
        world.lose(2)
        world.error = None
        assert world.call() == "done"
    assert world.sent == 30


@pytest.mark.parametrize(
    ("error", "is_loss"),
    [
        (HostLost("gone"), True),
        (OutcomeUnknown("who knows"), True),
        (EdgeProblem("worker-lost", 502, "killed"), True),
        (EdgeProblem("busy", 503, "later"), False),
        (GuestTrap("unreachable", "trap"), False),
    ],
)
def test_only_what_says_that_the_edge_was_not_there_is_a_loss(error: LawowError, is_loss: bool) -> None:
    world = World()
    world.error = error
    for _ in range(3):
        world.call()
    assert (world.breaker.refusal("edge") is not None) == is_loss


def test_one_call_probes_at_an_interval_that_doubles_up_to_a_bound() -> None:
    world = World()
    world.lose()
    probes = []
    for tenth in range(201):
        world.now = tenth / 10
        before = world.sent
        world.call()
        world.call()  # a second one at the same moment is none
        if world.sent > before:
            assert world.sent == before + 1
            probes.append(world.now)
    assert probes == [1.0, 3.0, 7.0, 12.0, 17.0]


def test_dice_bring_a_probe_forward_by_up_to_half() -> None:
    world = World(dice=0.0)
    world.lose()
    world.now = 0.49
    assert world.breaker.refusal("edge") is not None
    world.now = 0.5
    assert world.breaker.refusal("edge") is None


def test_a_probe_that_succeeds_lets_all_calls_through_and_the_interval_begins_anew() -> None:
    world = World()
    world.lose()
    for now in (1.0, 3.0):
        world.now = now
        world.call()
    world.now, world.error = 7.0, None
    assert [world.call() for _ in range(3)] == ["done"] * 3
    world.lose()
    world.now, world.error = 8.0, None
    assert world.call() == "done"


def test_while_a_probe_is_on_its_way_no_other_call_is_sent() -> None:
    world = World()
    world.lose()
    world.now = 1.0

    def probe() -> str:
        world.error = None
        assert world.call() == "HostLost"
        return "probed"

    assert world.breaker.call("edge", probe) == "probed"
    assert world.call() == "done"


def test_a_call_from_before_the_breaker_opened_does_not_close_it() -> None:
    world = World()

    def slow() -> str:
        world.lose()
        return "late"

    assert world.breaker.call("edge", slow) == "late"
    assert world.breaker.refusal("edge") is not None


def test_an_abandoned_call_is_no_loss_but_an_abandoned_probe_is_none_that_succeeded() -> None:
    world = World()
    world.error = OutcomeUnknown("cancelled")
    for _ in range(10):
        world.call(is_abandoned=True)
    assert world.breaker.refusal("edge") is None
    world.lose()
    world.now = 1.0
    world.call(is_abandoned=True)
    refusal = world.breaker.refusal("edge")
    assert refusal is not None
    assert refusal.endswith("it is probed in 2.0 s")


def test_a_probe_that_is_interrupted_leaves_room_for_the_next_one() -> None:
    world = World()
    world.lose()
    world.now = 1.0

    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.breaker.call("edge", interrupted)
    world.now, world.error = 3.0, None
    assert world.call() == "done"


@pytest.mark.parametrize(
    "wrong", [{"losses": 0}, {"first_seconds": 0}, {"first_seconds": 9, "longest_seconds": 8}]
)
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Breaker(**wrong)
