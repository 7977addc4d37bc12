"""A table of figures, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Table", "ratio_row"]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures under a title; the first column names what was measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    notes: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Return the table as Markdown."""
        lines = [self.title, "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_cell(value) for value in row]) for row in self.rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])

    def to_document(self) -> dict[str, object]:
        """Return the table as JSON holds it: one object for each row."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}


def ratio_row(what: str, pairs: Sequence[tuple[float, float]], wanted: float) -> tuple[str | float, ...]:
    """Return what was measured, ours and the other's, the ratio inside a round, and the goal."""
    ours, yardstick = (median(item) for item in zip(*pairs, strict=True))
    return (what, ours, yardstick, median(a / max(b, 1e-9) for a, b in pairs), wanted)


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
