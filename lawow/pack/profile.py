"""The engine profile of an app: what its ``assets/lawow/edge.properties`` says of the runtime on the device.

Ranges are those of ``dev.lawow.Configuration``, so that a wrong value is found here and not on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.toml import require_keys, text_of

__all__ = ["NO_PROFILE", "Profile", "read_profile"]

_CHOICES = {"engine": ("native", "pulley"), "mode": ("auto", "local", "remote")}
_LARGEST = {"fuel": (1 << 63) - 1, "memory-bytes": 1 << 32, "timeout-seconds": 24 * 60 * 60}
_PREFIX = "pack.profile."


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings by their key in the app's file, such as ``memory.bytes``; empty for the library's defaults."""

    settings: tuple[tuple[str, str], ...] = ()

    @property
    def is_interpreted(self) -> bool:
        """Whether modules are interpreted on every version of Android."""
        return ("engine", "pulley") in self.settings

    def to_bytes(self) -> bytes:
        """Return the properties file, keys sorted."""
        lines = [f"{key}={value}\n" for key, value in sorted(self.settings)]
        return "".join(["# Made by lawow pack from lawow.toml.\n", *lines]).encode()


NO_PROFILE = Profile()


def read_profile(table: Mapping[str, object], name: str) -> Profile:
    """Read the table ``[pack.profile]`` of the file `name`. Raises `FormatError` with the key."""
    require_keys(table, (*_CHOICES, *_LARGEST), name, _PREFIX)
    settings = [(key, _choice(table, key, name)) for key in _CHOICES if key in table]
    settings += [(key.replace("-", "."), _number(table, key, name)) for key in _LARGEST if key in table]
    return Profile(tuple(settings))


def _choice(table: Mapping[str, object], key: str, name: str) -> str:
    text = text_of(table, key, name, _PREFIX)
    if text not in _CHOICES[key]:
        allowed = " or ".join(_CHOICES[key])
        raise FormatError(f"{_PREFIX}{key} is unknown", file=name, found=repr(text)[:80], allowed=allowed)
    return text


def _number(table: Mapping[str, object], key: str, name: str) -> str:
    value = table[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST[key]:
        allowed = f"1 to {_LARGEST[key]}"
        message = f"{_PREFIX}{key} is no number in its range"
        raise FormatError(message, file=name, found=repr(value)[:80], allowed=allowed)
    return str(value)
