"""The engine's calls without ctypes: one module in one process, run once, and never freed.

A short call is over in microseconds; what a user waits for is Python importing modules. So this does in the
fewest steps, for the one case that matters, what `lawow.runtime.wasmtime_engine` does with care for every
case: a module that imports nothing, an export with integers and doubles. It uses `_ctypes`, the part of
ctypes that is written in C: the other part takes longer to import than all of this takes to run. What goes
wrong in the guest comes back as the addresses of the library's own errors, unread.

Definition of the calls: wasmtime's C API, see `lawow.runtime.libwasmtime`.
"""

from __future__ import annotations

import os

from lawow.runtime.hot import CALL
from lawow.runtime.places import VERSIONED_SYMBOL
from lawow.runtime.profiles import EXEC_PROFILE

try:
    import _ctypes as native
except ImportError:  # another implementation of Python: the usual way is taken
    native = None  # type: ignore[assignment]

__all__ = ["BITS", "DOUBLE", "BareGuest", "Outcome", "is_available"]

BITS = {"i": 32, "I": 64}
"""Letter of an integer type -> its bits. Together with `DOUBLE` all types that pass through here."""

DOUBLE = "F"

_SLOT_BYTES = 16  # of a wasmtime_val_raw_t
_RESOLVE_NOW = 2  # RTLD_NOW
_FUNCTION = 0  # WASMTIME_EXTERN_FUNC
_ITEM_WORD = 1  # a wasmtime_extern_t is its kind, padded to a word, and the item


def is_available() -> bool:
    """Return whether this Python has the native part of ctypes."""
    return native is not None


class Outcome:
    """What came of a run: the results as text, or the addresses of the library's error or trap."""

    __slots__ = ("error", "results", "trap")

    def __init__(self, results: list[str], error: int, trap: int) -> None:
        self.results = results
        self.error = error
        self.trap = trap


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


def _copy(address: int, length: int) -> bytes:
    """Return `length` bytes of the library's memory."""

    class Byte(native._SimpleCData):  # type: ignore[type-arg]
        _type_ = "B"

    class Bytes(native.Array):  # type: ignore[type-arg]
        _type_ = Byte
        _length_ = length

    return bytes(Bytes.from_address(address))


def _put(address: int, value: int | float) -> None:
    """Write an argument to its slot."""
    if isinstance(value, float):
        _Double.from_address(address).value = value
    else:
        _Word.from_address(address).value = value  # modulo 2 to the 64th; an i32 is the low half


def _take(address: int, kind: str) -> str:
    """Return a result as text, as `lawow.execution.arguments` formats it."""
    if kind == DOUBLE:
        return repr(_Double.from_address(address).value)
    bits = BITS[kind]
    value = _Word.from_address(address).value & ((1 << bits) - 1)
    return str(value - (1 << bits) if value >> (bits - 1) else value)


class BareGuest:
    """A module in a store of its own. Nothing is ever freed: the process ends with the call.

    With `in_one_thread` it compiles without threads, whose start takes longer than a small module.
    Raises `OSError` if `library` cannot be loaded or is of another release.
    """

    def __init__(self, library: str, *, in_one_thread: bool = False) -> None:
        self._library = native.dlopen(library, _RESOLVE_NOW)
        native.dlsym(self._library, VERSIONED_SYMBOL)
        self._scratch = _Words()
        self._trap = _Words()
        self._module = 0
        config = self._call("wasm_config_new")
        for name, _, value in EXEC_PROFILE.settings:
            self._call(f"wasmtime_config_{name}_set", config, int(value))
        if in_one_thread:  # the code is the same
            self._call("wasmtime_config_parallel_compilation_set", config, 0)
        self._engine = self._call("wasm_engine_new_with_config", config)

    def load(self, path: str) -> bool:
        """Map compiled code. Returns False if it is not for this machine or this configuration."""
        return self._take_module("wasmtime_module_deserialize_file", os.fsencode(path))

    def compile(self, wasm: bytes) -> bool:
        """Compile a binary module, which the caller has scanned. Returns False if it is not valid."""
        return self._take_module("wasmtime_module_new", wasm, len(wasm))

    def serialize(self) -> bytes:
        """Return the compiled code in the form that `load` takes, or nothing if the library has no memory."""
        error = self._call("wasmtime_module_serialize", self._module, _address(self._scratch))
        return b"" if error else _copy(self._scratch[1], self._scratch[0])

    def run(self, export: str, signature: str, values: list[int | float]) -> Outcome | None:
        """Instantiate, run ``_initialize`` if there is one, and call the export; None if there is no such.

        Nothing is checked here: the module must import nothing, the export must be of the type `signature`,
        and ``_initialize`` must take and return nothing (`lawow.execution.harmless`).
        """
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

    def _take_module(self, name: str, *source: int | bytes) -> bool:
        """Call a function that makes a module from `source`; return whether it did."""
        error = self._call(name, self._engine, *source, _address(self._scratch))
        self._module = self._scratch[0]
        return not error

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
