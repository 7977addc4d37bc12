"""What a conformance run counted: passed, failed with their place, unsupported with their reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Report", "Unsupported"]


class Unsupported(Exception):
    """This cannot be asked through the binding; the text is the reason."""


@dataclass
class Report:
    """Counts of one suite, called `kind`; `files` are test files, of which each holds one test or many."""

    kind: str = ""
    files: int = 0
    passed: int = 0
    unsupported: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take over the counts of another report."""
        self.files += other.files
        self.passed += other.passed
        self.unsupported += other.unsupported
        self.failures += other.failures

    def lines(self) -> list[str]:
        """Return what is printed: failures, reasons, and the sum at the end."""
        lines = [f"FAILED {line}" for line in self.failures]
        lines += [f"unsupported {count}: {reason}" for reason, count in self.unsupported.most_common()]
        counts = f"{self.passed} passed, {len(self.failures)} failed, {self.unsupported.total()} unsupported"
        return [*lines, f"{self.kind}: {self.files} files: {counts}"]

    def document(self) -> dict[str, object]:
        """Return the same as JSON holds it."""
        facts = {"kind": self.kind, "files": self.files, "passed": self.passed, "failed": self.failures}
        return {**facts, "unsupported": dict(self.unsupported)}
