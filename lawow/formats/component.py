"""The core modules inside of a WebAssembly component, so that they are scanned before anybody compiles them.

Reads the frames of sections only: core modules and nested components are opened, everything else is skipped
and left to the engine. Refuses sections that lie about their size, and nesting that no toolchain makes.
Source: component model, ``design/mvp/Binary.md``.
"""

from __future__ import annotations

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader
from lawow.formats.wasm import inspect_module
from lawow.limits import ModuleLimits

__all__ = ["COMPONENT_HEADER", "core_modules", "is_component", "require_sound_component"]

COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
_CORE_MODULE, _COMPONENT = 1, 4
_DEEPEST = 8
_MOST_MODULES = 200


def is_component(data: bytes | memoryview) -> bool:
    """Return whether the bytes begin as a component does."""
    return bytes(data[:8]) == COMPONENT_HEADER


def core_modules(data: bytes | memoryview) -> list[tuple[int, int]]:
    """Return (offset, bytes) of every core module, also in nested components. Raises `FormatError`."""
    found: list[tuple[int, int]] = []
    _collect(memoryview(data), 0, len(data), 0, found)
    return found


def _collect(data: memoryview, start: int, end: int, depth: int, found: list[tuple[int, int]]) -> None:
    if depth > _DEEPEST:
        raise FormatError("components are nested too deeply", offset=start, allowed=_DEEPEST)
    if not is_component(data[start:end]):
        raise FormatError("is no component", offset=start, found=bytes(data[start : start + 8]))
    reader = ByteReader(data, start + len(COMPONENT_HEADER), end, structure="component section")
    while reader.remaining:
        kind, size = reader.read_u8(), reader.read_uleb128()
        body = reader.offset
        reader.skip(size)
        if kind == _CORE_MODULE:
            found.append((body, size))
            if len(found) > _MOST_MODULES:
                raise FormatError("too many core modules in a component", allowed=_MOST_MODULES)
        elif kind == _COMPONENT:
            _collect(data, body, body + size, depth + 1, found)


def require_sound_component(data: bytes | memoryview, limits: ModuleLimits) -> None:
    """Scan every core module. Raises `FormatError`, or `LimitExceeded` as `lawow.formats.wasm` does."""
    view = memoryview(data)
    for offset, size in core_modules(data):
        if inspect_module(bytes(view[offset : offset + size]), limits=limits).is_component:
            raise FormatError("a component stands where a core module must", offset=offset)
