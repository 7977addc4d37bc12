"""Compiled modules (``.cwasm``) as far as shipping them needs it: for which engine and which processor.

Reads the section ``.wasmtime.engine`` of wasmtime's ELF file: a version byte, then the engine's release, the
target triple, the compiler's shared flags and those of the processor, in the encoding *postcard* (lengths and
tags are LEB128). The code itself is not looked at. `require_portable` is the check before such a file goes
into an app: a phone refuses code for a processor that it does not have, but only when it is there.

Source: wasmtime 50.0, ``crates/wasmtime/src/engine/serialization.rs``; the x86_64 ABI of the Android NDK
(SSE4.2, POPCNT and CMPXCHG16B are guaranteed), ARMv8-A.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.errors import FormatError, Refused
from lawow.formats.bytes import ByteReader
from lawow.formats.elf import read_elf

__all__ = ["CompiledCode", "read_compiled", "require_portable"]

_SECTION = ".wasmtime.engine"
_FORMAT = 0
_MOST_FLAGS = 200
_MOST_TEXT_BYTES = 200
_ENUMERATION, _NUMBER, _BOOLEAN = range(3)
_INTERPRETED = "pulley64"

_GUARANTEED = {
    "x86_64": frozenset(
        ("has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_cmpxchg16b"),
    ),
    "arm64-v8a": frozenset[str](),
}
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64-v8a"}


@dataclass(frozen=True, slots=True)
class CompiledCode:
    """What a compiled module is for: the engine's major release, the target, features it may use."""

    release: str
    target: str
    features: frozenset[str]

    @property
    def abis(self) -> tuple[str, ...]:
        """The Android ABIs whose processors run it; the interpreter's code runs on both."""
        architecture = self.target.partition("-")[0]
        if architecture == _INTERPRETED:
            return tuple(_GUARANTEED)
        return tuple(abi for name, abi in _ARCHITECTURES.items() if name == architecture)


def read_compiled(data: bytes) -> CompiledCode:
    """Return what a compiled module is for. Raises `FormatError` for any other file."""
    section = next((item for item in read_elf(data).sections if item.name == _SECTION), None)
    if section is None:
        raise FormatError(f"has no section {_SECTION}; it is no compiled module")
    reader = ByteReader(
        data[section.offset : section.offset + section.size_bytes], structure=f"section {_SECTION}"
    )
    if (version := reader.read_u8()) != _FORMAT:
        raise reader.fail("unknown format", found=version, allowed=_FORMAT)
    release, target = _text(reader), _text(reader)
    _flags(reader)
    features = _flags(reader)
    return CompiledCode(release, target, frozenset(name for name, is_set in features.items() if is_set))


def _text(reader: ByteReader) -> str:
    size = reader.read_uleb128()
    if size > _MOST_TEXT_BYTES:
        raise reader.fail("a text is too long", found=size, allowed=_MOST_TEXT_BYTES)
    try:
        return reader.read_bytes(size).decode("ascii")
    except UnicodeDecodeError:
        raise reader.fail("a text is not ASCII") from None


def _flags(reader: ByteReader) -> dict[str, bool]:
    """Read the compiler's flags; of those that are no booleans, only that they are there."""
    count = reader.read_uleb128()
    if count > _MOST_FLAGS:
        raise reader.fail("too many flags", found=count, allowed=_MOST_FLAGS)
    found: dict[str, bool] = {}
    for _ in range(count):
        name, kind = _text(reader), reader.read_uleb128()
        if kind == _ENUMERATION:
            _text(reader)
        elif kind in (_NUMBER, _BOOLEAN):
            value = reader.read_u8()
            found[name] = kind == _BOOLEAN and value != 0
        else:
            raise reader.fail("unknown kind of flag", found=kind, allowed="0, 1 or 2")
    return found


def require_portable(code: CompiledCode, release: str, subject: str) -> None:
    """Refuse code that some phone of its ABI would not run. `release` is the one that the app carries.

    Raises `Refused` with the reason; `subject` is what the message calls the file.
    """
    if code.release != release:
        raise Refused(
            f"{subject}: made by wasmtime {code.release}; the app carries {release}, which refuses it;"
            " compile it again"
        )
    if not code.abis:
        raise Refused(
            f"{subject}: made for {code.target}; an app runs code for {', '.join(_ARCHITECTURES)} or pulley64"
        )
    guaranteed = frozenset[str]().union(*(_GUARANTEED[abi] for abi in code.abis))
    beyond = sorted(code.features - guaranteed)
    if beyond and code.target.partition("-")[0] != _INTERPRETED:
        raise Refused(
            f"{subject}: uses {', '.join(beyond)}, which not every {code.abis[0]} phone has;"
            f" compile it with the target {code.target}, not for the processor at hand"
        )
