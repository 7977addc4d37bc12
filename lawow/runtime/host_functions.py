"""Functions of the host that a module may import: Python functions, found by their entry points.

An installed distribution offers them in the entry point group ``lawow.host_functions``. The entry point's
name is the grant's name; it leads to a sequence of `HostFunction`, or to a function without parameters that
returns one::

    [project.entry-points."lawow.host_functions"]
    thermometer = "mypackage.host:FUNCTIONS"

    FUNCTIONS = [HostFunction("thermometer", "read", "i>F", lambda memory, sensor: 21.5)]

Nothing is found, imported or linked before it is granted by name. A host function gets the guest's memory and
its arguments (integers signed), and returns a number, a tuple of numbers, or None. Pointers that a guest
passes are numbers like any other: `GuestMemory` checks every one. A host function that raises ends the guest
with the trap ``host-function-failed``; the exception goes no further, least of all to another guest.

Functions that remember something between calls must not remember it for the next guest. They name what makes
their state, which is made anew for each instance and ends with it; they get it before the memory::

    def functions():
        make = lambda: {"calls": 0}
        return [HostFunction("counter", "next", ">i", next_number, state=make)]
"""

from __future__ import annotations

import struct
from functools import partial

from lawow.errors import UsageError
from lawow.formats.interface import parse_signature
from lawow.runtime.failures import HOST_FUNCTION_FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from lawow.formats.interface import FuncType

    Result = int | float | tuple[int | float, ...] | None
    HostCall = Callable[..., Result]

__all__ = [
    "GRANTS_BY_MODULE",
    "GROUP",
    "INFERENCE",
    "GuestMemory",
    "HostFunction",
    "MissingMemory",
    "PackedCall",
    "bind",
    "find_host_functions",
    "granted_names",
    "place_in_memory",
]

GROUP = "lawow.host_functions"

_SENTENCE_BYTES = 500

OWN = {"channel": "lawow.runtime.channel_functions:FUNCTIONS"}
"""Grants of LAWOW's own, which are there whatever is installed; two that offer the same name are an error."""

INFERENCE = "nn"
"""The grant that LAWOW itself offers (`lawow.runtime.nn`); no distribution can offer it instead."""

GRANTS_BY_MODULE = {"lawow:channel": "channel", "wasi_ephemeral_nn": INFERENCE}
"""What gives the functions that are imported from a module, where that is known."""


class MissingMemory(IndexError):
    """The guest exports no memory through which pointers could mean anything."""


class GuestMemory:
    """The memory that the guest exports as ``memory``, while a host function runs."""

    __slots__ = ("read", "write")

    def __init__(self, read: Callable[[int, int], bytes], write: Callable[[int, bytes], object]) -> None:
        self.read = read
        """``read(address, length_bytes)`` returns a copy; raises `IndexError` outside of the memory,
        `MissingMemory` if there is none.
        """
        self.write = write
        """``write(address, data)`` writes all or nothing; raises as `read`."""


class HostFunction:
    """A function under the `module` and `name` by which it is imported; `signature` in letters (``iI>F``).

    `state` makes what the function remembers, once for each instance and together for all functions that name
    the same maker; then `call` gets it as its first argument.
    """

    __slots__ = ("call", "module", "name", "state", "type")

    def __init__(
        self,
        module: str,
        name: str,
        signature: str,
        call: HostCall,
        *,
        state: Callable[[], object] | None = None,
    ) -> None:
        self.module = module
        self.name = name
        self.type: FuncType = parse_signature(signature)
        self.call = call
        self.state = state


def bind(functions: Iterable[HostFunction]) -> list[HostCall]:
    """Return what one instance calls for each function, with state of its own."""
    states: dict[Callable[[], object], object] = {}
    calls: list[HostCall] = []
    for item in functions:
        if item.state is None:
            calls.append(item.call)
            continue
        if item.state not in states:
            states[item.state] = item.state()
        calls.append(partial(item.call, states[item.state]))
    return calls


class PackedCall:
    """A host function as an engine calls it: arguments and results as bytes.

    `call` is what `bind` made of the function for one instance; `layouts` says for each number type how
    `struct` packs it in the engine's slots.
    """

    __slots__ = ("_arguments", "_call", "_function", "_results", "argument_bytes")

    def __init__(self, function: HostFunction, call: HostCall, layouts: Mapping[str, str]) -> None:
        self._call = call
        self._function = function
        self._arguments = struct.Struct("<" + "".join(layouts[kind] for kind in function.type.params))
        self._results = struct.Struct("<" + "".join(layouts[kind] for kind in function.type.results))
        self.argument_bytes = self._arguments.size

    def run(self, memory: GuestMemory, arguments: bytes) -> bytes:
        """Call the function. Raises whatever it raises, and `struct.error` for results of other types."""
        answer = self._call(memory, *self._arguments.unpack(arguments))
        results = () if answer is None else answer if isinstance(answer, tuple) else (answer,)
        return self._results.pack(*results)

    def sentence(self, error: BaseException) -> str:
        """Return what is said of an error that `run` raised, in at most 500 bytes of UTF-8."""
        name = f"{self._function.module}.{self._function.name}"
        text = f"{HOST_FUNCTION_FAILED} {name}: {error or type(error).__name__}"
        return text.encode("utf-8", "replace")[:_SENTENCE_BYTES].decode("utf-8", "ignore")


def place_in_memory(address: int, length_bytes: int, memory_bytes: int) -> int:
    """Return an address, which may have arrived as a signed integer, if all of the range is in the memory.

    Raises `IndexError` if not.
    """
    address &= 0xFFFFFFFF if memory_bytes <= 1 << 32 else (1 << 64) - 1
    if length_bytes < 0 or address + length_bytes > memory_bytes:
        raise IndexError(
            f"{length_bytes} bytes at {address:#x} do not lie in the guest's {memory_bytes} bytes"
        )
    return address


def granted_names() -> list[str]:
    """Return the names that can be granted on this machine, sorted."""
    return sorted({INFERENCE, *(entry.name for entry in _entries())})


def find_host_functions(names: Iterable[str]) -> list[HostFunction]:
    """Import and return the functions of these grants.

    Raises `UsageError` for a name that nothing here offers, one that two distributions offer, and an offer
    that is not what this module describes.
    """
    wanted = list(dict.fromkeys(names))
    offers: dict[str, list[EntryPoint]] = {name: [] for name in wanted}
    for entry in _entries():
        if entry.name in offers:
            offers[entry.name].append(entry)
    functions: list[HostFunction] = []
    for name, entries in offers.items():
        functions += _load(name, entries)
    return functions


def _entries() -> Sequence[EntryPoint]:
    from importlib.metadata import EntryPoint, entry_points

    own = (EntryPoint(name, value, GROUP) for name, value in OWN.items())
    return (*own, *entry_points(group=GROUP))


def _load(name: str, entries: Sequence[EntryPoint]) -> list[HostFunction]:
    if not entries:
        offered = ", ".join(granted_names())
        raise UsageError(f"no host functions are named {name!r}; offered here: {offered}")
    if len(entries) > 1:
        places = ", ".join(entry.value for entry in entries)
        raise UsageError(f"host functions named {name!r} are offered more than once: {places}")
    try:
        offer = entries[0].load()
        functions = list(offer() if callable(offer) else offer)
    except Exception as error:  # noqa: BLE001  # somebody else's code: whatever it raises is said in one sentence
        raise UsageError(
            f"the host functions {name!r} cannot be loaded from {entries[0].value}: {error}"
        ) from None
    if not all(isinstance(item, HostFunction) for item in functions):
        raise UsageError(f"{entries[0].value} offers {name!r}, but holds something else than HostFunction")
    return functions
