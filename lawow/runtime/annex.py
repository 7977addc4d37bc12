"""A small module of the host's own beside a guest's instance, in the same store: it calls one of its exports.

What would take Python long between two calls is done there. The guest can reach neither the annex nor its
memory, and does not count them against its limits; traps and deadlines of what the annex calls are those of
the guest. The annex imports ``guest.function`` alone, exports ``run`` without results, and a ``memory`` of a
fixed size.
"""

from __future__ import annotations

from ctypes import addressof, byref, c_char, c_uint64, c_void_p
from functools import partial

from lawow.formats.wasm_state import PAGE_BYTES
from lawow.runtime import libwasmtime as lib
from lawow.runtime.binding import BoundExport, unsigned_slots
from lawow.runtime.failures import require_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.formats.interface import FuncType
    from lawow.runtime.wasmtime_store import Store

__all__ = ["ANNEX_BYTES", "Annex"]

ANNEX_BYTES = PAGE_BYTES
"""Size of each annex's memory."""


class Annex(BoundExport):
    """``run`` of an annex, made ready; `name` and `function` are those of the guest's export.

    Integers are given unsigned. `arm` gives a call its deadline, and `disarm` ends that. `memory` is the
    annex's, good for as long as the instance is open: nobody looks once it may be closed.
    """

    __slots__ = ("_memory", "arm", "disarm", "memory")

    def __init__(self, store: Store, module: int, run: FuncType, guest: BoundExport, trap: c_void_p) -> None:
        functions, context = lib.library(), store.context
        record, ended = (c_uint64 * 2)(), c_void_p()  # wasmtime_instance_t
        store.make_room_for_annex(ANNEX_BYTES)
        try:
            error = functions.wasmtime_instance_new(
                context, module, addressof(guest.item), 1, addressof(record), addressof(ended)
            )
        finally:
            store.limit()
        require_done(error)
        items = {}
        for name in (b"run", b"memory"):
            items[name] = lib.ExternRecord()
            functions.wasmtime_instance_export_get(
                context, addressof(record), name, len(name), byref(items[name])
            )
        super().__init__(
            guest.name, items[b"run"], run, functions.wasmtime_func_call_unchecked, context, trap
        )
        self.function = guest.function
        self.arm = partial(store.engine.watchdog.arm, store.token)
        self.disarm = partial(store.engine.watchdog.disarm, store.token)
        self.put = partial(unsigned_slots(run.params).pack_into, self.buffer, 0)
        start = functions.wasmtime_memory_data(context, items[b"memory"].address) or 0
        self._memory = (c_char * ANNEX_BYTES).from_address(start)
        self.memory = memoryview(self._memory).cast("B")
