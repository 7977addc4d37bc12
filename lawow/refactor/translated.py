"""A class whose methods were translated from its own bytecode, and the record of how they were tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lawow.formats.bundle import BoundMethod, BundledModule

__all__ = ["TranslatedClass", "Trial", "trial_records"]


@dataclass(frozen=True, slots=True)
class Trial:
    """The record of the differential test of one method (``run(I)I``).

    `equal` calls did the same on the JVM and in WebAssembly, `undecided` ones took more than a test may.
    `outcomes` says what the equal ones did: ``returned``, or the exception's class. `seed` generates the
    calls. A method that the user accepted without a test has none.
    """

    method: str
    equal: int
    undecided: int
    outcomes: tuple[tuple[str, int], ...]
    seed: int

    @property
    def sentence(self) -> str:
        """The record for a person."""
        kinds = ", ".join(f"{count:,} {name.rpartition('.')[2]}" for name, count in self.outcomes)
        undecided = f"; {self.undecided:,} took too long" if self.undecided else ""
        return f"{self.equal:,} calls did the same on the JVM and in WebAssembly ({kinds}{undecided})"


@dataclass(frozen=True, slots=True)
class TranslatedClass:
    """What `lawow refactor --auto` makes of one class. `trials` is empty where nothing was proved; `shapes`
    tells how the graphs of a method travel (`lawow.dalvik.graphs.shape_of`), of those that have any.
    """

    descriptor: str
    module: BundledModule
    methods: tuple[BoundMethod, ...]
    trials: tuple[Trial, ...] = ()
    shapes: Mapping[BoundMethod, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report says of the methods."""
        known = {trial.method: trial for trial in self.trials}
        return tuple(
            f"{bound.method}: {known[key].sentence}"
            if (key := f"{bound.method}{bound.descriptor}") in known
            else f"{bound.method}: translated, and not compared with the original"
            for bound in self.methods
        )


def trial_records(translation: TranslatedClass) -> list[dict[str, object]]:
    """Return the trials of a class as JSON data."""
    return [
        {
            "method": trial.method,
            "equal": trial.equal,
            "undecided": trial.undecided,
            "outcomes": dict(trial.outcomes),
            "seed": trial.seed,
        }
        for trial in translation.trials
    ]
