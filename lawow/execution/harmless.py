"""What a scan must have found before a module is compiled in this process, or called without a check.

On the start path of ``lawow exec``: a first run decides by it whether the short way is safe.
"""

from __future__ import annotations

from lawow.errors import Refused
from lawow.formats.interface import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from lawow.formats.wasm import ModuleInfo
    from lawow.runtime.grants import Grants

__all__ = ["is_cheap", "is_plain_reactor", "require_known_imports"]

_CHEAP = {"functions": 5_000, "locals_in_all": 200_000, "local_bytes_most": 20_000_000}
"""A small module below all of these compiles in half a second and 40 MB, whatever it is made for."""

_INITIALIZE, _NOTHING = "_initialize", FuncType((), ())
_SHOWN = 10


def is_cheap(info: ModuleInfo) -> bool:
    """Return whether a module that is small in bytes is cheap to compile, too."""
    return all(getattr(info, fact) <= most for fact, most in _CHEAP.items())


def is_plain_reactor(exports: Mapping[str, FuncType]) -> bool:
    """Return whether ``_initialize``, if it is among the exported functions, takes and returns nothing.

    `lawow.runtime.bare` calls it without asking: into a buffer too small for results that it is not to have.
    """
    return exports.get(_INITIALIZE, _NOTHING) == _NOTHING


def require_known_imports(info: ModuleInfo, label: str, grants: Grants | None = None) -> None:
    """Refuse a module that imports what `lawow exec` does not provide. Raises `Refused` listing all of it."""
    if not info.imports:
        return
    from lawow.runtime.wasi import MODULE_NAME, PREVIEW1_FUNCTIONS

    granted = {(item.module, item.name) for item in grants.functions} if grants is not None else set()
    missing = [
        f"{item.module}.{item.name} ({item.kind})"
        for item in info.imports
        if (item.module, item.name) not in granted
        and (item.module != MODULE_NAME or item.kind != "func" or item.name not in PREVIEW1_FUNCTIONS)
    ]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (
            f" and {len(missing) - _SHOWN} more" if missing[_SHOWN:] else ""
        )
        allowed = "WASI preview 1 and --grant"
        from lawow.runtime.nn.abi import MODULE_NAME as INFERENCE_MODULE

        if any(item.module == INFERENCE_MODULE for item in info.imports):
            allowed += " (wasi-nn: --grant nn)"
        raise Refused(f"{label}: imports what nobody provides here: {shown}; only {allowed}")
