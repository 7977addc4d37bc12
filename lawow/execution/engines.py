"""The engines that LAWOW can drive: by name, with what each can do, and what is known of its releases."""

from __future__ import annotations

from lawow.errors import LawowError, UsageError
from lawow.runtime.base import Engine

__all__ = ["ADVISORIES", "NAMES", "Advisory", "EngineFacts", "describe_engines", "make_engine"]

NAMES = ("wasmtime", "wasmedge", "wasmedge-interpreter")
"""What ``lawow exec --engine`` takes. The first is the default."""


class Advisory:
    """A published weakness: its name, the ranges of releases (first, fixed) that have it, and what it is."""

    __slots__ = ("engine", "name", "ranges", "sentence")

    def __init__(self, name: str, engine: str, ranges: tuple[tuple[str, str], ...], sentence: str) -> None:
        self.name = name
        self.engine = engine
        self.ranges = ranges
        self.sentence = sentence

    def affects(self, engine: str, version: str) -> bool:
        """Return whether this release of this engine has it."""
        found = _numbers(version)
        return engine == self.engine and any(
            _numbers(first) <= found < _numbers(fixed) for first, fixed in self.ranges
        )


ADVISORIES = (
    Advisory(
        "CVE-2026-34971",
        "wasmtime",
        (("0", "36.0.7"), ("37", "42.0.2"), ("43", "43.0.1")),
        "on aarch64 a guest could leave its memory through wrongly compiled code",
    ),
    Advisory(
        "CVE-2023-26489",
        "wasmtime",
        (("0.84", "4.0.1"), ("5", "5.0.1"), ("6", "6.0.1")),
        "on x86_64 a guest could leave its memory through wrongly compiled addresses",
    ),
)
"""Escapes from the sandbox. The list travels with LAWOW and is as old as it; an engine without an entry
is not proved to be sound.
"""


class EngineFacts:
    """One engine on this machine: `version` or "" with the reason why it cannot be used in `problem`."""

    __slots__ = ("capabilities", "name", "place", "problem", "version")

    def __init__(self, name: str, capabilities: dict[str, str]) -> None:
        self.name = name
        self.capabilities = capabilities
        self.version = self.place = self.problem = ""

    @property
    def advisories(self) -> list[Advisory]:
        """The known weaknesses of this release."""
        return [item for item in ADVISORIES if self.version and item.affects(self.name, self.version)]


_WASMTIME = {
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
_WASMEDGE = {
    **_WASMTIME,
    "compiler": "LLVM, ahead of time in a limited child",
    "deadline": "yes, by ending its process",
    "table limit": "no: its process is limited as a whole",
    "stack limit": "no: its process is limited as a whole",
    "fuel": "no: only the interpreter counts it",
    "state between calls": "no: each call is a process",
    "strings and lists": "no",
    "host functions": "no",
}
_INTERPRETER = {**_WASMEDGE, "compiler": "none", "fuel": "yes, by its own table of costs"}


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
    from lawow.runtime.wasmedge_engine import WasmEdgeEngine

    return WasmEdgeEngine(is_compiled=name == "wasmedge", has_fuel=with_fuel)


def describe_engines() -> list[EngineFacts]:
    """Look for each engine and return what was found."""
    wasmtime = EngineFacts("wasmtime", _WASMTIME)
    try:
        from lawow.runtime import libwasmtime

        wasmtime.place = libwasmtime.library().path
        wasmtime.version = libwasmtime.VERSION
    except LawowError as error:
        wasmtime.problem = str(error)
    return [wasmtime, *_describe_wasmedge()]


def _describe_wasmedge() -> list[EngineFacts]:
    from lawow.runtime.wasmedge_engine import WasmEdgeEngine

    found = [EngineFacts("wasmedge", _WASMEDGE), EngineFacts("wasmedge-interpreter", _INTERPRETER)]
    try:
        engine = WasmEdgeEngine()
        for facts in found:
            facts.place, facts.version = engine.command, engine.version
    except LawowError as error:
        for facts in found:
            facts.problem = str(error)
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """Return a release as numbers that compare; what is no number counts as 0."""
    parts = [int(part) if part.isdecimal() else 0 for part in version.split(".")]
    return tuple([*parts, 0, 0, 0][:3])
