"""WasmEdge by the better way that this process has: its library if that can be loaded, else its command.

Who names a command by `COMMAND` and no library by `LIBRARY` wants the command. A library that was named must
load: nothing else is tried in its place.
"""

from __future__ import annotations

import os

from lawow.errors import LawowError
from lawow.runtime.libwasmedge import LIBRARY
from lawow.runtime.wasmedge_command import COMMAND, CommandEngine
from lawow.runtime.wasmedge_library import LibraryEngine

__all__ = ["find_wasmedge"]


def find_wasmedge(*, is_compiled: bool = True, has_fuel: bool = False) -> LibraryEngine | CommandEngine:
    """Return WasmEdge, ahead of time or as an interpreter.

    Raises `LawowError` where neither way is here, `Refused` for fuel that the command cannot count.
    """
    if os.environ.get(COMMAND) and not os.environ.get(LIBRARY):
        return CommandEngine(is_compiled=is_compiled, has_fuel=has_fuel)
    try:
        return LibraryEngine(is_compiled=is_compiled, has_fuel=has_fuel)
    except LawowError as error:
        if os.environ.get(LIBRARY):
            raise
        problem = str(error)
    engine = CommandEngine(is_compiled=is_compiled, has_fuel=has_fuel)
    engine.problem_of_library = problem
    return engine
