"""A finding: what is wrong in which place, why it matters, and how to mend it.

A check declares its kinds once, as `Kind`, with the sentences that do not depend on the app; a finding is a
kind met at a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Kind", "Severity", "listed"]

_SHOWN = 3


class Severity(Enum):
    """How much a finding stands in the way.

    An error: a phone that the manifest allows refuses the app, or the app breaks there, or Google Play does
    not take it. A warning: some of that may happen, or the app is not safe. A note: worth knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in the way. `kind` is kebab-case; `place` an entry's path, a class, or a file."""

    kind: str
    severity: Severity
    place: str
    found: str
    why: str
    mend: str

    def details(self) -> dict[str, str]:
        """Return the finding for ``--json``."""
        return {
            "kind": self.kind,
            "severity": self.severity.value,
            "place": self.place,
            "found": self.found,
            "why": self.why,
            "mend": self.mend,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """What findings of one kind have in common: its name, how grave they are, why they matter, the mend."""

    name: str
    severity: Severity
    why: str
    mend: str

    def at(self, place: str, found: str, severity: Severity | None = None) -> Finding:
        """Return the finding at a place; `severity` where this app's differs from the kind's."""
        return Finding(self.name, severity or self.severity, place, found, self.why, self.mend)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are: ``a, b, c and 4 more``."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
