"""Calls with strings and lists: the component model's canonical ABI over one `Instance`.

An argument is copied to memory that the guest's own ``cabi_realloc(old, old_size, align, new_size)`` gives,
and goes in as address and length. A result comes back as the address of a pair of both, and once it has been
read ``cabi_post_NAME`` is called with that address, if the guest exports it. Numbers go in and out unchanged.
Definition: component model, ``CanonicalABI.md`` ("Loading", "Storing", "canon lift"). LAWOW adds the in-out
list (``&[``), whose contents are read again after the call: its memory belongs to the caller, so the guest
must neither free it nor keep its address, and a later call in the same instance uses the same memory again.

A guest is believed nothing: every address is checked for alignment and against the memory as it is at that
moment (`GuestTrap` ``memory-out-of-bounds``), no memory is ``out-of-memory``, text that is no UTF-8 is
``bad-result``. After any of these the instance must be dropped, as after a trap.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

from lawow.errors import FormatError, GuestTrap, LimitExceeded, LocalProtocolError, UsageError
from lawow.formats.elements import Argument, Packed, PackedValue, Returned, SameAs, unpack_text
from lawow.formats.interface import FuncType
from lawow.formats.signature import ListType, ScalarType, Signature, StringType
from lawow.runtime.base import Instance

__all__ = ["TypedCaller"]

REALLOC = "cabi_realloc"
REALLOC_TYPE = FuncType(("i32", "i32", "i32", "i32"), ("i32",))
POST = "cabi_post_"
POST_TYPE = FuncType(("i32",), ())
PAIR = struct.Struct("<II")
PAIR_ALIGNMENT = 4
TWO_SLOTS = struct.Struct("<QQ")
SLOT_BYTES = 8
TRUTHS = bytes([0]) + bytes([1]) * 255
"""Any byte but 0 in a guest's list of booleans means true."""


class TypedCaller:
    """Makes typed calls in one instance, and remembers the memory of in-out lists between them."""

    def __init__(self, instance: Instance, *, result_bytes: int) -> None:
        """`result_bytes` is the most that a string or list as the result may have."""
        self._instance = instance
        self.result_bytes = result_bytes
        self._lent: dict[tuple[int, int], tuple[int, int]] = {}
        self._ends: float | None = None

    def call(
        self,
        export: str,
        signature: Signature,
        arguments: Sequence[Argument],
        *,
        deadline_seconds: float | None = None,
    ) -> Returned:
        """Call an export; the deadline covers all that the guest does for the call.

        Raises what `Instance.call` raises, `UsageError` if the export's type is not the signature's, and
        `FormatError` if the module lacks what strings and lists need. `LimitExceeded` (``result_bytes``)
        leaves the instance usable.
        """
        self._ends = None if deadline_seconds is None else time.monotonic() + deadline_seconds
        self._require_type(export, signature.flat)
        slots, addresses = self._lower(signature, arguments)
        raw = self._instance.call_raw(export, slots, deadline_seconds=self._left())
        try:
            changed = self._read_in_out(signature, arguments, addresses)
            return Returned(self._lift(export, signature, raw), changed)
        except LocalProtocolError:
            raise GuestTrap("exit", f"{export} ended its instance instead of returning", status=0) from None

    def _read_in_out(
        self, signature: Signature, arguments: Sequence[Argument], addresses: Sequence[int]
    ) -> dict[int, Packed]:
        """Return the in-out lists as they are now, by the parameter's index."""
        lists = enumerate(zip(signature.params, arguments, addresses, strict=True))
        return {
            index: Packed(sent.count, self._read(kind, address, sent.count))
            for index, (kind, sent, address) in lists
            if isinstance(kind, ListType) and kind.is_in_out and isinstance(sent, Packed)
        }

    def _require_type(self, export: str, expected: FuncType) -> None:
        found = self._instance.signature(export)
        if found != expected:
            raise UsageError(f"{export} has the type {found}, the signature asks for {expected}")

    def _left(self) -> float | None:
        """Return the seconds up to the deadline, for the guest's next step."""
        return None if self._ends is None else max(self._ends - time.monotonic(), 0.001)

    def _lower(self, signature: Signature, arguments: Sequence[Argument]) -> tuple[bytes, list[int]]:
        """Return the core arguments as slots, and the address of each string and list (0 for numbers)."""
        slots: list[bytes] = []
        addresses: list[int] = []
        for index, (kind, value) in enumerate(zip(signature.params, arguments, strict=True)):
            if isinstance(value, bytes):
                slots.append(value)
                addresses.append(0)
            elif isinstance(value, SameAs):
                slots.append(_pair(addresses[value.parameter], arguments[value.parameter]))
                addresses.append(addresses[value.parameter])
            else:
                assert isinstance(kind, StringType | ListType)  # a number is bytes
                address = self._memory_for(index, kind, len(value.data))
                self._instance.write_memory(address, value.data)
                slots.append(_pair(address, value))
                addresses.append(address)
        return b"".join(slots), addresses

    def _memory_for(self, index: int, kind: StringType | ListType, size: int) -> int:
        """Return memory of the guest: its own from now on, or the one that is lent for this parameter."""
        alignment = kind.size_bytes
        if isinstance(kind, StringType) or not kind.is_in_out:
            return self._allocate(0, 0, alignment, size)
        address, capacity = self._lent.get((index, alignment), (0, 0))
        if size > capacity or not capacity:
            address, capacity = self._allocate(address, capacity, alignment, size), size
            self._lent[index, alignment] = (address, capacity)
        return address

    def _allocate(self, old: int, old_size: int, alignment: int, size: int) -> int:
        self._require_helper(REALLOC, REALLOC_TYPE)
        request = (old, old_size, alignment, size)
        (result,) = self._instance.call(REALLOC, request, deadline_seconds=self._left())
        address = int(result) & 0xFFFFFFFF
        if size and not address:
            raise GuestTrap("out-of-memory", f"the guest's {REALLOC} has no {size} bytes for an argument")
        _require_aligned(REALLOC, address, alignment)
        return address

    def _require_helper(self, name: str, expected: FuncType) -> None:
        """Raise `FormatError` unless the module exports the function with this type."""
        try:
            found: FuncType | None = self._instance.signature(name)
        except UsageError:
            found = None
        if found != expected:
            raise FormatError(
                f"strings and lists need the export {name}", found=found or "nothing", allowed=expected
            )

    def _lift(self, export: str, signature: Signature, raw: bytes) -> tuple[PackedValue, ...]:
        """Return the results: the slots themselves, or what their one address leads to."""
        if not signature.results or isinstance(signature.results[0], ScalarType):
            return tuple(raw[start : start + SLOT_BYTES] for start in range(0, len(raw), SLOT_BYTES))
        area = int.from_bytes(raw[:4], "little")
        try:
            value = self._load(export, signature.results[0], area)
        except LimitExceeded:
            self._post(export, area)  # the guest did nothing wrong
            raise
        self._post(export, area)
        return (value,)

    def _load(self, export: str, kind: StringType | ListType, area: int) -> Packed:
        """Read the string or list whose address and length stand at `area`."""
        _require_aligned(export, area, PAIR_ALIGNMENT)
        address, count = PAIR.unpack(self._instance.read_memory(area, PAIR.size))
        _require_aligned(export, address, kind.size_bytes)
        size = count * kind.size_bytes
        if size > self.result_bytes:
            self._require_inside(address, size)
            raise LimitExceeded("result_bytes", size, self.result_bytes, subject=export)
        value = Packed(count, self._read(kind, address, count))
        if isinstance(kind, StringType):
            try:
                unpack_text(value)
            except FormatError as error:
                raise GuestTrap("bad-result", f"the text that {export} returned {error}") from None
        return value

    def _require_inside(self, address: int, size: int) -> None:
        """Raise `GuestTrap` for a length that is not only too much but false."""
        self._instance.read_memory(address + size, 0)

    def _read(self, kind: StringType | ListType, address: int, count: int) -> bytes:
        data = self._instance.read_memory(address, count * kind.size_bytes)
        is_boolean = isinstance(kind, ListType) and kind.element.letter == "z"
        return data.translate(TRUTHS) if is_boolean else data

    def _post(self, export: str, area: int) -> None:
        """Tell the guest that its result has been read."""
        name = POST + export
        try:
            self._instance.signature(name)
        except UsageError:
            return
        self._require_helper(name, POST_TYPE)
        self._instance.call(name, (area,), deadline_seconds=self._left())


def _pair(address: int, value: Argument) -> bytes:
    """Return address and length as two slots."""
    assert isinstance(value, Packed)  # an alias names the list itself
    return TWO_SLOTS.pack(address, value.count)


def _require_aligned(who: str, address: int, alignment: int) -> None:
    if address % alignment:
        raise GuestTrap(
            "memory-out-of-bounds", f"{who} returned {address:#x}, which is no multiple of {alignment}"
        )
