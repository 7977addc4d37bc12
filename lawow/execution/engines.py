"""The engines that LAWOW can drive: by name, with what each can do, and what is known of its releases."""

from __future__ import annotations

from lawow.errors import LawowError, UsageError
from lawow.execution.advisories import ADVISORIES, Advisory
from lawow.runtime.base import Engine

__all__ = ["NAMES", "EngineFacts", "describe_engines", "make_engine"]

NAMES = ("wasmtime", "wasmedge", "wasmedge-interpreter")
"""What ``lawow exec --engine`` takes. The first is the default."""


class EngineFacts:
    """One engine on this machine: `version` or "" with the reason why it cannot be used in `problem`."""

    __slots__ = ("capabilities", "name", "place", "problem", "version")

    def __init__(self, name: str, capabilities: dict[str, str]) -> None:
        self.name = name
        self.capabilities = capabilities
        self.version = self.place = self.problem = ""

    @property
    def advisories(self) -> list[tuple[Advisory, str]]:
        """The known weaknesses of this release, and the release that ends each."""
        pairs = ((item, item.fixed_in(self.name, self.version)) for item in ADVISORIES if self.version)
        return [(item, fixed) for item, fixed in pairs if fixed]


_WASMTIME = {
    "driven by": "its library, in this process",
    "compiler": "Cranelift, in this process or a limited child",
    "deadline": "yes",
    "memory limit": "yes",
    "table limit": "yes",
    "stack limit": "yes",
    "fuel": "yes",
    "state between calls": "yes",
    "strings and lists": "yes",
    "host functions": "yes",
    "WASI grants": "folders, variables, standard input",
}
_WASMEDGE_LIBRARY = {
    **_WASMTIME,
    "compiler": "LLVM, ahead of time in a limited child",
    "deadline": "yes; a guest that waits for its host is left behind",
    "table limit": "yes, written into the module",
    "stack limit": "yes, written into the module",
    "fuel": "yes, by its own table of costs",
}
_WASMEDGE_COMMAND = {
    **_WASMEDGE_LIBRARY,
    "driven by": "its command, a process for each call",
    "deadline": "yes, by ending its process",
    "table limit": "no: its process is limited as a whole",
    "stack limit": "no: its process is limited as a whole",
    "state between calls": "no: each call is a process",
    "strings and lists": "no",
    "host functions": "no",
}


def make_engine(name: str, *, with_fuel: bool = False) -> Engine:
    """Return the engine of that name, for ``lawow exec``.

    Raises `UsageError` for an unknown name, `LawowError` if it is not installed, `Refused` if it has no fuel.
    """
    from lawow.runtime.profiles import EXEC_FUEL_PROFILE, EXEC_PROFILE

    if name == "wasmtime":
        from lawow.runtime.wasmtime_engine import WasmtimeEngine

        return WasmtimeEngine(EXEC_FUEL_PROFILE if with_fuel else EXEC_PROFILE)
    if name not in NAMES:
        raise UsageError(f"no engine is named {name!r}; there are {', '.join(NAMES)}")
    from lawow.runtime.wasmedge import find_wasmedge

    return find_wasmedge(is_compiled=name == "wasmedge", has_fuel=with_fuel)


def describe_engines() -> list[EngineFacts]:
    """Look for each engine and return what was found."""
    wasmtime = EngineFacts("wasmtime", _WASMTIME)
    try:
        from lawow.runtime import libwasmtime

        wasmtime.place = libwasmtime.library().path
        wasmtime.version = libwasmtime.VERSION
    except LawowError as error:
        wasmtime.problem = str(error)
    return [wasmtime, *(_describe_wasmedge(name) for name in NAMES[1:])]


def _describe_wasmedge(name: str) -> EngineFacts:
    from lawow.runtime.wasmedge import find_wasmedge
    from lawow.runtime.wasmedge_library import LibraryEngine

    facts = EngineFacts(name, dict(_WASMEDGE_COMMAND))
    try:
        engine = find_wasmedge()
    except LawowError as error:
        facts.problem = str(error)
        return facts
    facts.version = engine.version
    if isinstance(engine, LibraryEngine):
        facts.place = engine.path
        facts.capabilities = dict(_WASMEDGE_LIBRARY)
    else:
        facts.place = engine.command
        if engine.problem_of_library:
            facts.capabilities["driven by"] += f"; {engine.problem_of_library}"
        if name == "wasmedge":
            facts.capabilities["fuel"] = "no: only the interpreter counts it"
    if name == "wasmedge-interpreter":
        facts.capabilities["compiler"] = "none"
    return facts
