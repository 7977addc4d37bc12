"""What became of a guest's calls for inference: where its models really ran, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.runtime.nn.abi import ErrorCode, NnError

__all__ = ["InferenceReport", "ModelUse"]

_MODELS_KEPT = 64
_REFUSALS_KEPT = 20


@dataclass(slots=True)
class ModelUse:
    """One model on one device: `nodes` of its graph that each provider took, and its runs so far.

    `asked` is ``auto``, ``cpu`` or ``gpu``, `device` ``cpu`` or ``gpu``; `note` says why ``auto`` is the CPU.
    """

    name: str
    asked: str
    device: str
    nodes: dict[str, int]
    note: str = ""
    runs: int = 0
    run_seconds: float = 0.0

    def document(self) -> dict[str, object]:
        """Return it for ``--json``."""
        return {
            "name": self.name,
            "asked": self.asked,
            "device": self.device,
            "nodes": self.nodes,
            "note": self.note or None,
            "runs": self.runs,
            "run_seconds": self.run_seconds,
        }

    def line(self) -> str:
        """Return it as one line."""
        nodes = ", ".join(f"{count} nodes on {name}" for name, count in self.nodes.items()) or "no nodes"
        note = f"; {self.asked} was asked for: {self.note}" if self.note else ""
        runs = f"{self.runs} run{'' if self.runs == 1 else 's'} in {self.run_seconds:.6f} s"
        return f"nn: {self.name}: {self.device} ({nodes}), {runs}{note}"


class InferenceReport:
    """All that happened under one grant, over all instances. What a guest can repeat is kept once."""

    def __init__(self) -> None:
        self.models: list[ModelUse] = []
        self.refusals: list[str] = []

    def share(self, use: ModelUse) -> ModelUse:
        """Return the entry in which a model's runs are counted: its own, or that of the same model before.

        Models beyond the first 64 are not listed.
        """
        for known in self.models:
            if (known.name, known.asked, known.device) == (use.name, use.asked, use.device):
                return known
        if len(self.models) < _MODELS_KEPT:
            self.models.append(use)
        return use

    def refuse(self, function: str, error: NnError) -> int:
        """Note a failed call; return its code for the guest."""
        sentence = f"nn: {function}: {error} ({error.code.name.lower()})"
        if sentence not in self.refusals and len(self.refusals) < _REFUSALS_KEPT:
            self.refusals.append(sentence)
        return ErrorCode(error.code)

    def document(self) -> dict[str, object]:
        """Return it for ``--json``."""
        return {"models": [item.document() for item in self.models], "refusals": self.refusals}
