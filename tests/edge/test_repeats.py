"""What is asked for twice with a key happens once, within the bounds of what is kept."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from lawow.edge.refusals import BadRequest, Busy, Conflict, WorkerLost
from lawow.edge.repeats import Repeats
from lawow.errors import GuestTrap
from lawow.limits import EDGE

KEY = "0123456789abcdef"


class Effect:
    """Counts how often it was had; `error` is raised in the place of a result."""

    def __init__(
        self, size: int = 10, error: Callable[[], Exception] | None = None, seconds: float = 0.0
    ) -> None:
        self.count = 0
        self.size, self.error, self.seconds = size, error, seconds

    async def __call__(self) -> bytes:
        self.count += 1
        mine = self.count
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error()
        return bytes([mine]) * self.size


async def ask(
    repeats: Repeats, effect: Effect, key: str | None = KEY, asked: bytes = b"call", tenant: str = "a"
) -> bytes:
    """Ask for it."""
    return await repeats.once(tenant, key, lambda: asked, effect, len)


def test_a_key_has_its_effect_once_and_without_one_each_time() -> None:
    async def run() -> None:
        repeats, effect = Repeats(), Effect()
        assert [await ask(repeats, effect) for _ in range(3)] == [bytes([1]) * 10] * 3
        assert await ask(repeats, effect, tenant="b") == bytes([2]) * 10
        assert await ask(repeats, effect, key=KEY + "!") == bytes([3]) * 10
        assert [await ask(repeats, effect, key=None) for _ in range(2)] == [bytes([4]) * 10, bytes([5]) * 10]

    asyncio.run(run())


def test_those_who_come_while_it_goes_on_wait_for_it() -> None:
    async def run() -> None:
        repeats, effect = Repeats(), Effect(seconds=0.01)
        found = await asyncio.gather(*(ask(repeats, effect) for _ in range(20)))
        assert found == [bytes([1]) * 10] * 20

    asyncio.run(run())


def trapped() -> Exception:
    """What a guest that trapped comes to."""
    return GuestTrap("unreachable", "it trapped", frames=("f",))


def test_who_waits_has_the_outcome_though_its_key_was_forgotten_meanwhile() -> None:
    async def run() -> None:
        repeats, effect = Repeats(replace(EDGE, kept_calls=1)), Effect(seconds=0.01)
        asking = [asyncio.create_task(ask(repeats, effect)) for _ in range(2)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(ask(repeats, Effect(), key=f"{KEY}{number}")) for number in range(5)]
        assert [await task for task in asking] == [bytes([1]) * 10] * 2
        await asyncio.gather(*others)

    asyncio.run(run())


@pytest.mark.parametrize("error", [trapped, lambda: WorkerLost("lost", retry_after_seconds=2.0)])
def test_what_a_guest_that_ran_came_to_is_told_again(error: Callable[[], Exception]) -> None:
    async def run() -> None:
        repeats, effect = Repeats(), Effect(error=error)
        for _ in range(3):
            with pytest.raises(type(error())) as raised:
                await ask(repeats, effect)
            assert str(raised.value) == str(error())
            assert vars(raised.value) == vars(error())
        assert effect.count == 1

    asyncio.run(run())


def test_an_outcome_that_is_kept_holds_nothing_of_the_call() -> None:
    class Large(bytes):
        """Arguments that can be found again."""

    async def call(repeats: Repeats) -> None:
        effect, arguments = Effect(error=trapped), Large(1 << 16)
        with contextlib.suppress(GuestTrap):
            await ask(repeats, effect, asked=arguments)

    async def run() -> None:
        repeats = Repeats()
        await call(repeats)
        gc.collect()
        assert not [item for item in gc.get_objects() if isinstance(item, Large)]
        with pytest.raises(GuestTrap):
            await ask(repeats, Effect(), asked=bytes(1 << 16))

    asyncio.run(run())


def test_what_was_not_begun_may_be_asked_for_anew_by_whoever_waited_for_it() -> None:
    async def run() -> None:
        repeats, effect = Repeats(), Effect(error=lambda: Busy("no turn"), seconds=0.01)
        found = await asyncio.gather(*(ask(repeats, effect) for _ in range(3)), return_exceptions=True)
        assert [type(item) for item in found] == [Busy] * 3
        assert effect.count == 3
        effect.error = None
        assert await ask(repeats, effect) == await ask(repeats, effect) == bytes([4]) * 10

    asyncio.run(run())


def test_a_key_of_another_request_and_one_that_can_be_guessed_are_refused() -> None:
    async def run() -> None:
        repeats, effect = Repeats(), Effect()
        await ask(repeats, effect)
        with pytest.raises(Conflict, match="another request"):
            await ask(repeats, effect, asked=b"another call")
        for key in ("", "short", "with blanks in it, long", "x" * 129):
            with pytest.raises(BadRequest):
                await ask(repeats, effect, key=key)
        assert effect.count == 1

    asyncio.run(run())


def test_outcomes_without_room_are_not_told_and_not_had_again() -> None:
    async def run() -> None:
        repeats, effect = Repeats(replace(EDGE, kept_call_bytes=250)), Effect(size=100)
        for number in range(4):
            await ask(repeats, effect, key=f"{KEY}{number}")
        for number in range(2):
            with pytest.raises(Conflict, match="kept no more"):
                await ask(repeats, effect, key=f"{KEY}{number}")
        assert [await ask(repeats, effect, key=f"{KEY}{number}") for number in (2, 3)] == [
            bytes([3]) * 100,
            bytes([4]) * 100,
        ]
        assert effect.count == 4

    asyncio.run(run())


def test_keys_are_forgotten_when_there_are_too_many_or_they_are_too_old() -> None:
    now = 0.0

    async def run() -> None:
        nonlocal now
        repeats = Repeats(replace(EDGE, kept_calls=3, kept_call_seconds=60.0), lambda: now)
        effect = Effect()
        for number in range(5):
            await ask(repeats, effect, key=f"{KEY}{number}")
        assert await ask(repeats, effect, key=f"{KEY}4") == bytes([5]) * 10
        assert await ask(repeats, effect, key=f"{KEY}0") == bytes([6]) * 10
        now = 59.0
        repeats.expire()
        assert await ask(repeats, effect, key=f"{KEY}0") == bytes([6]) * 10
        now = 60.0
        repeats.expire()
        assert await ask(repeats, effect, key=f"{KEY}0") == bytes([7]) * 10

    asyncio.run(run())
