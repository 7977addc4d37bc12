"""The shortest way from a file that ran before to its result: one engine call after another, and nothing
else.

A short call is over in microseconds; what a user waits for is Python importing modules. So this module does
in the fewest steps, for the one case that matters, what `lawow.runtime.wasmtime_engine` does with care for
every case: compiled code in the cache, a module that imports nothing, an export with integers and doubles.
It uses `_ctypes`, the part of ctypes that is written in C: the other part takes longer to import than all
of this takes to run. Where anything is unusual *before* the guest starts it returns None, and the usual way
is taken; what goes wrong *in* the guest is read and explained by the usual modules, imported then.

Definition of the calls: wasmtime's C API, see `lawow.runtime.libwasmtime`.
"""

from __future__ import annotations

import os
import sys

from lawow.execution.deadline import Deadline
from lawow.runtime.hot import CALL
from lawow.runtime.places import (
    default_folder,
    entry_path,
    file_key,
    find_entry,
    find_library,
    flavour_of,
    is_private,
)
from lawow.runtime.profiles import EXEC_PROFILE

try:
    import _ctypes as native
except ImportError:  # another implementation of Python: the usual way is taken
    native = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.errors import LawowError

__all__ = ["Outcome", "explain", "run_again"]

_BITS = {"i": 32, "I": 64}
_DOUBLE = "F"
_SUPPORTED = "iIF>"
_LONGEST_NUMBER = 24
_SLOT_BYTES = 16  # of a wasmtime_val_raw_t
_RESOLVE_NOW = 2  # RTLD_NOW
_FUNCTION = 0  # WASMTIME_EXTERN_FUNC
_ITEM_WORD = 1  # a wasmtime_extern_t is its kind, padded to a word, and the item


class Outcome:
    """What came of a run: the results as text, or the addresses of the library's error or trap."""

    __slots__ = ("error", "results", "trap")

    def __init__(self, results: list[str], error: int, trap: int) -> None:
        self.results = results
        self.error = error
        self.trap = trap


def run_again(path: str, name: str, texts: list[str], late: Callable[[], int]) -> Outcome | None:
    """Run an export of a file that ran before and is unchanged; None if this is not the case for it.

    `late` is called in another thread when the deadline has passed, and gives the status to end with.
    """
    if native is None:
        return None
    found = _find(path, name)
    if found is None:
        return None
    code, export, signature = found
    values = _parse(signature, texts)
    library, _ = find_library(sys.path)
    if values is None or not library:
        return None
    try:
        guest = _Guest(library)
        if not guest.load(code):
            return None
    except (OSError, AttributeError):  # a damaged library: the usual way says so
        return None
    deadline = Deadline(CALL.deadline_seconds, late)
    outcome = guest.run(export, signature, values)
    deadline.cancel()
    return outcome


def explain(outcome: Outcome) -> LawowError:
    """Return the error that an outcome stands for, as the usual way would raise it."""
    from lawow.runtime.failures import Bounds, guest_failure

    bounds = Bounds(CALL.memory_bytes, CALL.table_elements, None)
    return guest_failure(outcome.error, outcome.trap, bounds)


def _find(path: str, name: str) -> tuple[str, str, str] | None:
    """Return the path of the compiled code, the export and its signature."""
    folder = default_folder()
    try:
        key = file_key(os.stat(path), "", name)
        if folder is None or key is None or not is_private(folder):
            return None
        entry = find_entry(folder, entry_path(folder, flavour_of(EXEC_PROFILE.name), key))
    except (OSError, ValueError):
        return None
    if not entry.is_pure or ">" not in entry.signature or entry.signature.strip(_SUPPORTED):
        return None
    return f"{folder}/{entry.code}", entry.export, entry.signature


def _parse(signature: str, texts: list[str]) -> list[int | float] | None:
    """Return plain decimal arguments as values; None for anything that needs a second look."""
    kinds = signature.partition(">")[0]
    if len(kinds) != len(texts):
        return None
    values: list[int | float] = []
    for kind, text in zip(kinds, texts, strict=True):
        digits = text[1:] if text[:1] == "-" else text
        if not (digits.isascii() and digits.isdigit() and len(text) <= _LONGEST_NUMBER):
            return None
        number = int(text)
        if kind != _DOUBLE and not -(1 << (_BITS[kind] - 1)) <= number < 1 << _BITS[kind]:
            return None
        values.append(float(number) if kind == _DOUBLE else number)
    return values


if native is not None:

    class _Word(native._SimpleCData):  # type: ignore[type-arg]
        """An integer, a pointer or a boolean: all of them travel in registers of 64 bits."""

        _type_ = "Q"

    class _Double(native._SimpleCData):  # type: ignore[type-arg]
        _type_ = "d"

    class _Words(native.Array):  # type: ignore[type-arg]
        """Eight words that the library may write to."""

        _type_ = _Word
        _length_ = 8

    class _Function(native.CFuncPtr):
        _flags_ = native.FUNCFLAG_CDECL
        _restype_ = _Word


def _address(record: _Words | _Word) -> int:
    address: int = native.addressof(record)
    return address


def _put(address: int, value: int | float) -> None:
    """Write an argument to its slot."""
    if isinstance(value, float):
        _Double.from_address(address).value = value
    else:
        _Word.from_address(address).value = value  # modulo 2 to the 64th; an i32 is the low half


def _take(address: int, kind: str) -> str:
    """Return a result as text, as `lawow.execution.arguments` formats it."""
    if kind == _DOUBLE:
        return repr(_Double.from_address(address).value)
    bits = _BITS[kind]
    value = _Word.from_address(address).value & ((1 << bits) - 1)
    return str(value - (1 << bits) if value >> (bits - 1) else value)


class _Guest:
    """A module in a store of its own. Nothing is ever freed: the process ends with the call."""

    def __init__(self, library: str) -> None:
        self._library = native.dlopen(library, _RESOLVE_NOW)
        self._scratch = _Words()
        self._trap = _Words()
        self._module = 0

    def load(self, code: str) -> bool:
        """Map compiled code. Returns False if it is not for this machine or this configuration."""
        config = self._call("wasm_config_new")
        for name, _, value in EXEC_PROFILE.settings:
            self._call(f"wasmtime_config_{name}_set", config, int(value))
        self._engine = self._call("wasm_engine_new_with_config", config)
        error = self._call(
            "wasmtime_module_deserialize_file", self._engine, os.fsencode(code), _address(self._scratch)
        )
        self._module = self._scratch[0]
        return not error

    def run(self, export: str, signature: str, values: list[int | float]) -> Outcome | None:
        """Instantiate, run ``_initialize`` if there is one, and call the export."""
        store = self._call("wasmtime_store_new", self._engine, 0, 0)
        limits = (CALL.memory_bytes, CALL.table_elements, CALL.instances, CALL.tables, CALL.memories)
        self._call("wasmtime_store_limiter", store, *limits)
        context = self._call("wasmtime_store_context", store)
        instance = _Words()
        error = self._call(
            "wasmtime_instance_new", context, self._module, 0, 0, _address(instance), _address(self._trap)
        )
        if error or self._trap[0]:
            return Outcome([], error, self._trap[0])
        initialize = self._function(context, instance, "_initialize")
        if initialize is not None:
            outcome = self._enter(context, initialize, ">", [])
            if outcome.error or outcome.trap:
                return outcome
        function = self._function(context, instance, export)
        return None if function is None else self._enter(context, function, signature, values)

    def _enter(self, context: int, function: _Words, signature: str, values: list[int | float]) -> Outcome:
        """Call a function; arguments go in and results come out through the same slots."""
        kinds = signature.partition(">")[2]
        slots = max(len(values), len(kinds))
        memory = bytearray(_SLOT_BYTES * (slots + 1))
        first = _Word.from_buffer(memory)  # keeps the memory alive and in its place
        buffer = _address(first)
        for index, value in enumerate(values):
            _put(buffer + _SLOT_BYTES * index, value)
        target = _address(function) + 8 * _ITEM_WORD
        error = self._call(
            "wasmtime_func_call_unchecked", context, target, buffer, slots, _address(self._trap)
        )
        if error or self._trap[0]:
            return Outcome([], error, self._trap[0])
        return Outcome([_take(buffer + _SLOT_BYTES * i, kind) for i, kind in enumerate(kinds)], 0, 0)

    def _function(self, context: int, instance: _Words, name: str) -> _Words | None:
        """Return the ``wasmtime_extern_t`` of an exported function."""
        item, text = _Words(), name.encode()
        found = self._call(
            "wasmtime_instance_export_get", context, _address(instance), text, len(text), _address(item)
        )
        # Only the low byte of a word is defined where the library returns or writes a byte.
        return item if found & 0xFF and item[0] & 0xFF == _FUNCTION else None

    def _call(self, name: str, *arguments: int | bytes) -> int:
        function = _Function(native.dlsym(self._library, name))
        result: int = function(*(_Word(item) if isinstance(item, int) else item for item in arguments))
        return result
