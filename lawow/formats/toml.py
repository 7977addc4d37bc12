"""The configuration file ``lawow.toml``: tables of known keys and nothing else, so that nothing is ignored.

Several tools read one file, each its own tables. Every error names the file and the key, and for an unknown
key the nearest known one. Refused: files above `CONFIG_BYTES`, what is not UTF-8 or not TOML.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

from lawow.errors import FormatError, LimitExceeded

__all__ = [
    "CONFIG_BYTES",
    "CONFIG_NAME",
    "TABLES",
    "nearest",
    "read_config",
    "require_keys",
    "table_of",
    "text_of",
    "texts_of",
]

CONFIG_NAME = "lawow.toml"
CONFIG_BYTES = 1 << 20
TABLES = ("accept", "auto", "classes", "modules", "pack")
"""The tables of all tools: `lawow.refactor.correction` and `lawow.pack.config` say what is in them."""


def read_config(data: bytes, *, name: str) -> dict[str, object]:
    """Return the document of a file whose tables are `TABLES`. Raises `FormatError`, `LimitExceeded`."""
    if len(data) > CONFIG_BYTES:
        raise LimitExceeded("file size in bytes", len(data), CONFIG_BYTES, subject=name)
    try:
        document: dict[str, object] = tomllib.loads(data.decode())
    except RecursionError:
        raise FormatError("is nested too deeply", file=name) from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise FormatError(f"is not TOML: {error}", file=name) from None
    require_keys(document, TABLES, name, "")
    return document


def require_keys(table: Mapping[str, object], known: Sequence[str], name: str, prefix: str) -> None:
    """Raise `FormatError` for a key that is not `known`; `prefix` is the table's name with a dot."""
    for key in table:
        if key not in known:
            near = nearest(key, known)
            raise FormatError(f"unknown key {prefix}{key}{near}", file=name, allowed=", ".join(known))


def nearest(asked: str, known: Sequence[str]) -> str:
    """Return `` (did you mean X?)``, or nothing when no known name is near."""
    import difflib

    near = difflib.get_close_matches(asked, known, n=2, cutoff=0.6)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def table_of(table: Mapping[str, object], key: str, name: str, prefix: str = "") -> dict[str, object]:
    """Return a table by its key; an empty one if it is not there."""
    value = table.get(key, {})
    if not isinstance(value, dict):
        message = f"{prefix}{key} must be a table"
        raise FormatError(message, file=name, found=type(value).__name__, allowed=f"[{prefix}{key}]")
    return value


def text_of(table: Mapping[str, object], key: str, name: str, prefix: str) -> str | None:
    """Return a text that is not blank, or None if the key is not there."""
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise FormatError(f"{prefix}{key} must be text", file=name, found=repr(value)[:80])
    return value


def texts_of(
    table: Mapping[str, object], key: str, name: str, prefix: str, *, of: str, example: str
) -> list[str]:
    """Return a list of texts, empty if the key is not there; messages say what the texts are `of`."""
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        allowed = f'{key} = ["{example}"]'
        raise FormatError(f"{prefix}{key} must be a list of {of}", file=name, allowed=allowed)
    return value
