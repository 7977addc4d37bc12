"""Names that LAWOW itself adds to a guest's module for an engine, and that no guest may bring along.

Added exports are how LAWOW reaches its own companions (`lawow.runtime.trampolines`) and fences
(`lawow.runtime.fences`). The custom sections hold machine code, which is only ever run if it was made here: a
guest with such a section would choose the machine code itself. WasmEdge looks for one of its own, too.
"""

from __future__ import annotations

from lawow.errors import FormatError, Refused
from lawow.formats.interface import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.formats.wasm import ModuleInfo

__all__ = ["CODE_SECTION", "PREFIX", "require_no_additions"]

CODE_SECTION = "lawow.native"
"""The custom section in which a compiled module keeps the code for this machine."""

_FOREIGN_SECTION = "wasmedge"
"""The custom section from which WasmEdge itself would load machine code."""


def require_no_additions(info: ModuleInfo, *, is_exposed: bool = False) -> None:
    """Raise `FormatError` for an added name in a guest's module, `Refused` if it brings machine code.

    In a module that is known to be exposed (`lawow.formats.wasm_expose`) the names of its state are allowed.
    """
    if not is_exposed and any(item.name.startswith(PREFIX) for item in info.exports):
        raise FormatError(f"exports a name that begins with {PREFIX}", structure="export")
    for item in info.custom_sections:
        if item.name in (CODE_SECTION, _FOREIGN_SECTION):
            raise Refused(
                f"the module brings machine code in its custom section {item.name}, which is never run; "
                f"build it again without ahead-of-time compilation"
            )
