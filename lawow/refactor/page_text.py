"""Text for pages: escaped, printable, bounded. Names come from files that anybody may have made."""

from __future__ import annotations

from html import escape

__all__ = ["number", "short_name", "size", "text"]

_LONGEST = 300


def text(value: object, longest: int = _LONGEST) -> str:
    """Return text for HTML: what is not printable (controls, overrides of direction) as its code, cut to
    `longest` characters.
    """
    plain = str(value)
    if len(plain) > longest:
        plain = plain[: longest - 1] + "…"
    return escape("".join(item if item.isprintable() else f"\\u{ord(item):04x}" for item in plain))


def short_name(name: str, longest: int) -> str:
    """Return the end of a class name that fits, which is what tells it from others: ``….Outer$Inner``."""
    simple = name.rpartition(".")[2]
    return simple if len(simple) <= longest else "…" + simple[-(longest - 1) :]


def number(value: int) -> str:
    """Return a number with thousands apart."""
    return f"{value:,}"


def size(value: float) -> str:
    """Return a number of bytes in the unit that fits."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} bytes"
