"""A finding of the verifier, as data: callers print, count or compare them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Issue"]


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that is wrong: its `kind` in kebab-case, a sentence, and where."""

    kind: str
    message: str
    structure: str = ""
    index: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        place = self.structure if self.index is None else f"{self.structure}[{self.index}]"
        at = "" if self.offset is None else f" (at offset {self.offset:#x})"
        return f"{place}: {self.message}{at}"
