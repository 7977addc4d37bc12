"""What an app with WasmEdge runs in place of a module: the same module with its limits written into it.

WasmEdge has no limit of the stack and none for tables (`lawow.runtime.fences`), and its glue runs nothing
that lacks them. The module's own memory gets a name as well: WasmEdge does not hold what a memory begins with
to its limit, so the glue looks before the guest runs. Refused: what the fences refuse.
"""

from __future__ import annotations

from lawow.formats.bytes import encode_uleb128
from lawow.formats.interface import PREFIX
from lawow.formats.wasm_edit import EXPORT, appended, edit_sections, sized
from lawow.runtime.fences import add_fences
from lawow.runtime.wasmedge_base import scan

__all__ = ["MEMORY_EXPORT", "STACK_BYTES", "prepare_for_app"]

MEMORY_EXPORT = f"{PREFIX}memory"
"""An added export: the module's first memory, if it has one."""
STACK_BYTES = 4 << 20
"""What a guest's frames may take, by the estimate of the fences; the interpreter has them on its heap."""

_MEMORY_KIND = b"\x02"


def prepare_for_app(wasm: bytes) -> bytes:
    """Return the module as an app's WasmEdge runs it.

    Raises `FormatError` for what is no core module, `LimitExceeded` for one with too large tables, `Refused`
    for one that brings machine code.
    """
    info = scan(wasm)
    fenced = add_fences(wasm, info, stack_bytes=STACK_BYTES)
    if not info.memories:
        return fenced
    export = sized(MEMORY_EXPORT.encode()) + _MEMORY_KIND + encode_uleb128(0)
    return edit_sections(fenced, {EXPORT: lambda content: appended(content, [export])})
