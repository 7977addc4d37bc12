"""The checks that device and network files share: size, TOML, known keys, numbers in their range."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path

from lawow.device.provenance import Figure, Provenance
from lawow.errors import FormatError, LimitExceeded, UsageError

__all__ = ["figure_of", "known_keys", "load", "names_in", "number_of", "table_of", "text_of", "toml_of"]

PROFILE_BYTES = 256 << 10
"""Of one file: a network of 2,000 phases is about 200 KiB."""
Table = Mapping[str, object]


def names_in(folder: str) -> list[str]:
    """Return the names of the files that come with the package."""
    return sorted(path.stem for path in (Path(__file__).parent / folder).glob("*.toml"))


def load(name: str, folder: str, what: str) -> tuple[str, bytes]:
    """Return the file's name and bytes, for a name of this package or a path that ends in ``.toml``.

    Raises `UsageError` for a name that is none, `LimitExceeded` for a file that is too large, `OSError`.
    """
    names = names_in(folder)
    if name not in names and not name.endswith(".toml"):
        raise UsageError(f"no {what} is named {name!r}; there are {', '.join(names)}, or give a .toml file")
    path = Path(__file__).parent / folder / f"{name}.toml" if name in names else Path(name)
    with path.open("rb") as stream:
        data = stream.read(PROFILE_BYTES + 1)
    if len(data) > PROFILE_BYTES:
        raise LimitExceeded("PROFILE_BYTES", f"more than {PROFILE_BYTES}", PROFILE_BYTES, subject=str(path))
    return path.name, data


def toml_of(data: bytes, file: str) -> Table:
    """Parse TOML. Raises `FormatError`, and nothing else, whatever the bytes are."""
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FormatError(f"is no TOML: {error}", file=file) from None


def known_keys(table: Table, required: set[str], optional: set[str], *, file: str, place: str) -> None:
    """Require that a table has all required keys and none that nobody reads."""
    unknown, missing = sorted(set(table) - required - optional), sorted(required - set(table))
    if unknown:
        allowed = ", ".join(sorted(required | optional))
        raise FormatError(
            "has a key that is not known", structure=place, found=unknown[0], allowed=allowed, file=file
        )
    if missing:
        raise FormatError(f"lacks {', '.join(missing)}", structure=place, file=file)


def table_of(value: object, *, file: str, place: str) -> Table:
    """Return a table as one."""
    if not isinstance(value, dict):
        raise FormatError("must be a table", structure=place, found=type(value).__name__, file=file)
    return value


def text_of(value: object, *, file: str, place: str) -> str:
    """Return a text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise FormatError(
            "must be a text that is not empty", structure=place, found=repr(value)[:80], file=file
        )
    return value


def number_of(value: object, low: float, high: float, *, file: str, place: str) -> float:
    """Return a finite number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError("must be a number", structure=place, found=type(value).__name__, file=file)
    if not (math.isfinite(value) and low <= value <= high):
        raise FormatError(
            "is out of range",
            structure=place,
            found=f"{value:.6g}",
            allowed=f"{low:g} to {high:g}",
            file=file,
        )
    return float(value)


def figure_of(value: object, low: float, high: float, *, file: str, place: str) -> Figure:
    """Return a figure: ``{ value = 2.0, provenance = "measured", source = "..." }``, all three of them."""
    table = table_of(value, file=file, place=place)
    known_keys(table, {"value", "provenance", "source"}, set(), file=file, place=place)
    kinds = [kind.value for kind in Provenance]
    if table["provenance"] not in kinds:
        raise FormatError(
            "is no provenance",
            structure=f"{place}.provenance",
            found=repr(table["provenance"])[:80],
            allowed=", ".join(kinds),
            file=file,
        )
    return Figure(
        number_of(table["value"], low, high, file=file, place=f"{place}.value"),
        Provenance(table["provenance"]),
        text_of(table["source"], file=file, place=f"{place}.source"),
    )
