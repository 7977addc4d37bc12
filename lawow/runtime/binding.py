"""An export made ready to be called: its type, the buffer of its slots, and the way in and out of them.

Values travel in ``wasmtime_val_raw_t`` slots of 16 bytes, little-endian; arguments and results share them.
"""

from __future__ import annotations

import struct
from ctypes import addressof, c_size_t, c_uint64, c_void_p

from lawow.errors import UsageError
from lawow.formats.interface import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from functools import partial

    from lawow.runtime.libwasmtime import ExternRecord
else:
    from _functools import partial  # the same, without the five modules that functools loads at each start

__all__ = ["NOT_PACKED", "SLOT", "BoundExport", "fit_arguments", "unsigned_slots"]

SLOT = {"i32": "i12x", "i64": "q8x", "f32": "f12x", "f64": "d8x"}
"""Layout of a value in ``wasmtime_val_raw_t`` (16 bytes, little-endian)."""

_RAW_SLOT = {"i32": "I12x", "i64": "Q8x", "f32": "I12x", "f64": "Q8x"}
_RAW_VALUE = {"i32": "I4x", "i64": "Q", "f32": "I4x", "f64": "Q"}

NOT_PACKED = (struct.error, OverflowError, TypeError)
"""What `BoundExport.put` raises for arguments that are to be fitted first."""


class BoundExport:
    """An export made ready: the function, its type, the buffer of its arguments and results.

    `put(*arguments)` writes the buffer, `enter()` calls the guest and returns the library's error, `take()`
    reads the results. All they need is bound beforehand, in the form that ctypes passes on as it is: it
    converts numbers anew at each call, which takes as long as the call. `enter` holds the context of the
    store: the instance calls it only while it owns an open one.
    """

    __slots__ = (
        "_raw_arguments", "_raw_results", "buffer", "enter", "function", "item", "name", "put", "take"
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        item: ExternRecord,
        function: FuncType,
        call: Callable[..., int | None],
        context: c_void_p,
        trap: c_void_p,
    ) -> None:
        self.name = name
        self.function = function
        self.item = item  # keeps the memory of the wasmtime_func_t, to which `enter` passes a pointer
        slots = max(len(function.params), len(function.results))
        self.buffer = (c_uint64 * (2 * slots + 2))()
        self.enter = partial(
            call, context, c_void_p(item.address), c_void_p(addressof(self.buffer)), c_size_t(slots), trap
        )
        self.put = partial(_layout(function.params).pack_into, self.buffer, 0)
        self.take = partial(_layout(function.results).unpack_from, self.buffer)
        self._raw_arguments: tuple[struct.Struct, struct.Struct] | None = None
        self._raw_results: tuple[struct.Struct, struct.Struct] | None = None

    def put_fitted(self, arguments: Sequence[int | float]) -> None:
        """Write arguments that `put` did not take. Raises `UsageError` if they do not fit the parameters."""
        self.put(*fit_arguments(self.name, self.function, arguments))

    def put_raw(self, values: bytes) -> None:
        """Write arguments given as bit patterns of 8 bytes."""
        if self._raw_arguments is None:
            count = len(self.function.params)
            self._raw_arguments = struct.Struct(f"<{count}Q"), struct.Struct("<" + "Q8x" * count)
        given, slots = self._raw_arguments
        if len(values) != given.size:
            raise UsageError(f"{self.name} takes {given.size} bytes of arguments, {len(values)} were given")
        slots.pack_into(self.buffer, 0, *given.unpack(values))

    def take_raw(self) -> bytes:
        """Return the results as bit patterns of 8 bytes."""
        if self._raw_results is None:
            types = self.function.results
            self._raw_results = _struct(_RAW_SLOT, types), _struct(_RAW_VALUE, types)
        slots, values = self._raw_results
        return values.pack(*slots.unpack_from(self.buffer))


def unsigned_slots(types: Sequence[str]) -> struct.Struct:
    """Return the layout of slots that are given as unsigned numbers of the same bits."""
    return _struct(_RAW_SLOT, types)


def _layout(types: Sequence[str]) -> struct.Struct:
    return _struct(SLOT, types)


def _struct(layouts: dict[str, str], types: Sequence[str]) -> struct.Struct:
    return struct.Struct("<" + "".join(layouts[item] for item in types))


def fit_arguments(name: str, function: FuncType, arguments: Sequence[int | float]) -> list[int | float]:
    """Return the arguments in the form of their slots (unsigned integers wrapped). Raises `UsageError`."""
    params = function.params
    if len(arguments) != len(params):
        raise UsageError(
            f"{name} takes {len(params)} arguments {FuncType(params, ())}, {len(arguments)} were given"
        )
    return [
        _fit_one(index, kind, value)
        for index, (kind, value) in enumerate(zip(params, arguments, strict=True))
    ]


def _fit_one(index: int, kind: str, value: int | float) -> int | float:
    """Return one argument as its slot takes it."""
    if kind in ("f32", "f64"):
        try:
            struct.pack("<f" if kind == "f32" else "<d", value)
        except (struct.error, OverflowError, TypeError):
            raise UsageError(f"argument {index + 1} does not fit {kind}: {value!r}") from None
        return value
    bits = 32 if kind == "i32" else 64
    if not isinstance(value, int) or not -(1 << (bits - 1)) <= value < 1 << bits:
        raise UsageError(f"argument {index + 1} does not fit {kind}: {value!r}")
    return value - (1 << bits) if value >> (bits - 1) > 0 else value
