"""A finding: what speaks against moving a method, or what its users should know; with the instruction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lawow.formats.dex.search import Use
from lawow.formats.dex.views import MethodView
from lawow.refactor.correction import Corrections
from lawow.refactor.effects import TOLD
from lawow.refactor.names import Names

__all__ = ["Finding", "Severity", "describe_method", "describe_use", "settle"]


class Severity(Enum):
    """What a finding does."""

    FORBIDDEN = "forbidden"
    ACCEPTED = "accepted"
    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about one method that would move.

    `method` is ``com.example.Fft.run(I)I``; `place` names the instruction and, if that lies elsewhere, its
    method; `why` says what is wrong with it, `remedy` what to do.
    """

    kind: str
    method: str
    place: str
    why: str
    remedy: str = ""
    severity: Severity = Severity.FORBIDDEN

    @property
    def sentence(self) -> str:
        """The finding for a person, without the method."""
        text = f"{self.place} {self.why}" if self.place else self.why
        return f"{text}; {self.remedy}" if self.remedy else text


def settle(finding: Finding, corrections: Corrections) -> Finding:
    """Return the finding with its severity: told by kind, or accepted by the correction file."""
    if finding.kind in TOLD:
        return _with_severity(finding, Severity.TOLD, "")
    accepted = corrections.acceptance(finding.method, finding.kind)
    if accepted is not None:
        return _with_severity(finding, Severity.ACCEPTED, f"accepted: {accepted.reason}")
    return finding


def _with_severity(finding: Finding, severity: Severity, remedy: str) -> Finding:
    return Finding(finding.kind, finding.method, finding.place, finding.why, remedy, severity)


def describe_method(method: MethodView, names: Names) -> str:
    """Return ``com.example.Fft.run(I)I``, with original names."""
    return f"{names.of_class(method.owner.descriptor)}.{names.of_method(method)}{method.descriptor}"


def describe_use(use: Use, moved: MethodView, names: Names) -> str:
    """Return where an instruction stands: ``invoke-static at 0x4``, or ``... of com.example.Log.d()V``."""
    place = f"{use.mnemonic} at {use.offset:#x}"
    same = use.method.owner is moved.owner and use.method.ref == moved.ref
    return place if same else f"{place} of {describe_method(use.method, names)}"
