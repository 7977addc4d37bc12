"""Examines methods and translates closed sets of them."""

from __future__ import annotations

from collections.abc import Iterable

from lawow.dalvik.api import Examined, Translation, Untranslatable
from lawow.dalvik.ir import Obstacle, decode
from lawow.dalvik.program import Program
from lawow.errors import FormatError
from lawow.formats.dex import MethodRef

__all__ = ["examine", "translate"]


def examine(program: Program, method: MethodRef) -> Examined:
    """Look at one method by itself; whatever its code is, nothing is raised."""
    try:
        view = program.method(method)
        if view is None:
            raise Obstacle("is not defined in the app")
        body = decode(view)
    except Obstacle as obstacle:
        reason = Untranslatable(method, obstacle.reason, obstacle.instruction, obstacle.offset)
        return Examined(method, reason=reason)
    except FormatError as error:
        return Examined(method, reason=Untranslatable(method, str(error)))
    return Examined(method, instructions=len(body.ops))


def translate(program: Program, methods: Iterable[MethodRef]) -> Translation:
    """Translate methods and what they call to one module.

    A method that cannot be translated, by itself or because of a callee, is in `Translation.refused` and its
    callers with it. Raises `Refused` if nothing is left.
    """
    raise NotImplementedError
