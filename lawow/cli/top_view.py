"""The picture that ``lawow top`` draws of an overview.

What an edge sends is believed in nothing: values of another kind are shown as unknown, names can neither
drive the terminal nor be markup, and rows beyond `ROWS` are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lawow.device.edge_client import printable

__all__ = ["picture"]

UNKNOWN = "-"
ROWS = 50
SPARKS = "▁▂▃▄▅▆▇█"
STATE_STYLES = {"ready": "green", "draining": "yellow"}
MIB = 1 << 20

Item = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that is there on terminals of at least `width`."""

    title: str
    cell: Callable[[Item], str]
    width: int = 0
    is_text: bool = False


def picture(document: Item, trouble: str | None, width: int) -> Group:
    """Return what to print on a terminal of so many columns; `trouble` is why it is not of now."""
    parts: list[RenderableType] = [_headline(document, trouble), *_figures(document, width)]
    tenants, leases = _items(document, "tenants"), _items(document, "leases")
    if document:
        parts.append(_table("Tenants", TENANT_COLUMNS, tenants, document.get("tenants_left_off"), width))
        parts.append(_table("Leases", LEASE_COLUMNS, leases, document.get("leases_left_off"), width))
    return Group(*parts)


def _headline(document: Item, trouble: str | None) -> Text:
    state = _text(document.get("state"))
    line = Text("LAWOW edge ", style="bold").append(_text(document.get("version")))
    line.append(f"  {state}", style=STATE_STYLES.get(state, "red"))
    reason = document.get("reason")
    if isinstance(reason, str):
        line.append(f" ({_text(reason)})")
    whose = document.get("tenant")
    line.append(f"  {'all tenants' if whose is None else 'tenant ' + _text(whose)}")
    started, now = _number(document.get("started_unix")), _number(document.get("time_unix"))
    if started is not None and now is not None:
        line.append(f"  up {_duration(now - started)}")
    if trouble is not None:
        line.append(f"\n{printable(trouble)}", style="bold red")
    return line


def _figures(document: Item, width: int) -> list[Text]:
    """Return the lines above the tables."""
    if not document:
        return []
    pairs = [(column.title, column.cell(document)) for column in TENANT_COLUMNS if not column.is_text]
    lines = [_pairs(pairs)]
    spark = _spark(document, max(10, min(60, width - 20)))
    if spark:
        lines.append(Text("calls/s ").append(spark, style="cyan"))
    lines.append(_pairs([("outcomes", _counts(document.get("outcomes")))]))
    lines.append(_pairs([("leases", _counts(document.get("lease_states")))]))
    for name, section in sorted(_mapping(document.get("sections")).items()):
        facts = [(_text(key), _text(value)) for key, value in _mapping(section).items()]
        lines.append(Text(f"{_text(name)}: ").append_text(_pairs(facts[:ROWS])))
    return lines


def _pairs(pairs: Sequence[tuple[str, str]]) -> Text:
    line = Text()
    for name, value in pairs:
        line.append(f"{name} ").append(value, style="bold").append("  ")
    return line


def _spark(document: Item, width: int) -> str:
    """Return the calls of the last steps as a line of blocks."""
    values = _mapping(document.get("series")).get("calls")
    found = [_number(value) or 0.0 for value in (values if isinstance(values, list) else [])][-width:]
    most = max(found, default=0.0)
    if most <= 0:
        return ""
    return "".join(SPARKS[min(7, max(0, int(value / most * 7.999)))] for value in found)


def _table(
    title: str, columns: Sequence[_Column], items: Sequence[Item], left_off: object, width: int
) -> Table:
    shown = [column for column in columns if column.width <= width]
    table = Table(title=title, title_justify="left", expand=False, show_edge=False, header_style="bold")
    for column in shown:
        table.add_column(
            column.title, justify="left" if column.is_text else "right", overflow="ellipsis", no_wrap=True
        )
    for item in items[:ROWS]:
        table.add_row(*(Text(column.cell(item)) for column in shown))
    more = len(items[ROWS:]) + int(_number(left_off) or 0)
    table.caption = f"and {more:,} more" if more else None if items else "none"
    return table


def _field(key: str) -> Callable[[Item], str]:
    return lambda item: _text(item.get(key))


def _count(key: str) -> Callable[[Item], str]:
    return lambda item: _decimal(item.get(key), 0)


def _seconds(key: str) -> Callable[[Item], str]:
    return lambda item: _milliseconds(item.get(key))


def _total(key: str) -> Callable[[Item], str]:
    return lambda item: f"{sum(_number(value) or 0 for value in _mapping(item.get(key)).values()):,.0f}"


def _failed(item: Item) -> str:
    outcomes = _mapping(item.get("outcomes"))
    return f"{sum(_number(value) or 0 for name, value in outcomes.items() if name != 'ok'):,.0f}"


def _lease_time(item: Item) -> str:
    expires = _number(item.get("expires_unix"))
    return UNKNOWN if expires is None else _duration(max(0.0, expires - time.time()))


TENANT_COLUMNS = (
    _Column("tenant", _field("tenant"), is_text=True),
    _Column("calls/s", lambda item: _decimal(item.get("calls_per_second"), 1)),
    _Column("p50 ms", _seconds("p50_seconds"), 60),
    _Column("p99 ms", _seconds("p99_seconds")),
    _Column("calls", _total("outcomes"), 70),
    _Column("failed", _failed),
    _Column("workers", _count("workers"), 110),
    _Column("instances", _count("instances"), 80),
    _Column("queue", _count("waiting"), 80),
    _Column("MiB", lambda item: _decimal(_mebibytes(item.get("memory_bytes")), 1), 50),
    _Column("connections", _count("connections"), 120),
    _Column("leases", _total("lease_states"), 90),
)
LEASE_COLUMNS = (
    _Column("lease", lambda item: _text(item.get("lease"))[:8], is_text=True),
    _Column("state", _field("state"), is_text=True),
    _Column("tenant", _field("tenant"), is_text=True),
    _Column("module", lambda item: _text(item.get("module")).removeprefix("sha256:")[:12], 70, is_text=True),
    _Column("host", _field("host"), 90, is_text=True),
    _Column("ends in", _lease_time, 60),
)


def _items(document: Item, key: str) -> list[Item]:
    found = document.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _mapping(value: object) -> Item:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    """Return a number that can be shown; JSON's integers have no bounds, and Python reads Infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e18 else None


def _decimal(value: object, digits: int) -> str:
    number = _number(value)
    return UNKNOWN if number is None else f"{number:,.{digits}f}"


def _milliseconds(value: object) -> str:
    number = _number(value)
    return _decimal(None if number is None else number * 1000, 2)


def _mebibytes(value: object) -> float | None:
    number = _number(value)
    return None if number is None else number / MIB


def _text(value: object) -> str:
    return printable(value)[:200] if isinstance(value, str) else _decimal(value, 0)


def _counts(value: object) -> str:
    facts = [f"{_text(name)} {_decimal(count, 0)}" for name, count in sorted(_mapping(value).items())]
    return ", ".join(facts[:ROWS]) or "none"


def _duration(seconds: float) -> str:
    """Return the two leading units: ``2 h 5 min``; one where the other is 0."""
    whole = int(max(0.0, seconds))
    for size, unit, lesser_size, lesser in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"
