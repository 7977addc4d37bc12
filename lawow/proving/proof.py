"""The proof of a translation: the same generated calls on the JVM and in WebAssembly, outcome by outcome.

It is a test and no more: what agrees in some hundred calls with edge values, random ones, aliases and
exceptions, two programs that share no line would have to have got wrong in the same way. One call that
differs is enough to refuse a method; its arguments are in the proof, so that anybody can repeat it.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lawow.dalvik.api import GraphType
from lawow.errors import Refused
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.dex.views import MethodView
from lawow.proving.cases import Case
from lawow.proving.excerpt import FindClass, FindMethod, build_excerpt
from lawow.proving.guest import GuestMachine, GuestMethod
from lawow.proving.inputs import generate_cases
from lawow.proving.machine import JudgeMachine
from lawow.proving.outcomes import EXHAUSTED, Agreement, Outcome, Threw, compare, shown

__all__ = ["Proof", "Subject", "prove"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A method of the app, and the export of a module that is to do the same."""

    method: MethodView
    wasm: bytes
    guest: GuestMethod

    @property
    def types(self) -> tuple[GraphType, ...]:
        """The types of its graphs."""
        return self.guest.graph.types if self.guest.graph else ()


@dataclass(frozen=True, slots=True)
class Proof:
    """The record of one method. `outcomes` counts what the calls did: returned, or the exception.

    `failure` is a call that differs, or why there can be no proof; empty if the method is proved.
    """

    method: MethodRef
    seed: int
    equal: int = 0
    undecided: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def is_proved(self) -> bool:
        """Whether no call differed, and enough could be decided."""
        return not self.failure


def prove(
    subjects: Sequence[Subject],
    find_method: FindMethod,
    find_class: FindClass,
    throwables: Collection[str],
    *,
    cases: int,
    seed: int,
) -> list[Proof]:
    """Run `cases` calls of each subject on both machines.

    Raises `Refused` if the JVM or enjarify is not there, `LawowError` if they fail.
    """
    proofs: dict[MethodRef, Proof] = {}
    able = []
    for subject in subjects:
        try:
            build_excerpt([subject.method], find_method, find_class, throwables, subject.types)
            able.append(subject)
        except Refused as error:
            proofs[subject.method.ref] = Proof(subject.method.ref, seed, failure=str(error))
    if able:
        types = [kind for item in able for kind in item.types]
        excerpt = build_excerpt([item.method for item in able], find_method, find_class, throwables, types)
        proofs.update((proof.method, proof) for proof in _run_both(able, excerpt, cases, seed))
    return [proofs[subject.method.ref] for subject in subjects]


def _run_both(subjects: Sequence[Subject], excerpt: bytes, cases: int, seed: int) -> Iterator[Proof]:
    """Run what ends in WebAssembly on the JVM, too: the other calls might never end there."""
    with GuestMachine() as guest:
        runs = [_guest_run(guest, index, subject, cases, seed) for index, subject in enumerate(subjects)]
    flat = [case for run in runs for case, outcome in run if outcome is not EXHAUSTED]
    with tempfile.TemporaryDirectory(prefix="lawow-proof-") as folder:
        machine = JudgeMachine.opened(
            excerpt, [(item.method.ref, item.guest.shape) for item in subjects], Path(folder)
        )
        answers = iter(machine.outcomes(flat))
        for subject, run in zip(subjects, runs, strict=True):
            both = [(case, ours, EXHAUSTED if ours is EXHAUSTED else next(answers)) for case, ours in run]
            yield _compared(subject, both, seed)


def _guest_run(
    guest: GuestMachine, index: int, subject: Subject, cases: int, seed: int
) -> list[tuple[Case, Outcome]]:
    """Return generated cases with their outcomes in WebAssembly."""
    method = subject.guest
    made = generate_cases(index, method.parameters, seed + index, method.graph, has_this=method.has_this)
    generated = list(islice(made, cases))
    return list(zip(generated, guest.outcomes(subject.wasm, subject.guest, generated), strict=True))


def _compared(subject: Subject, run: Sequence[tuple[Case, Outcome, Outcome]], seed: int) -> Proof:
    types = subject.guest.parameters
    counts: Counter[Agreement] = Counter()
    outcomes: Counter[str] = Counter()
    failure = ""
    for call, ours, theirs in run:
        agreement = compare(types, subject.guest.result_kind, ours, theirs)
        counts[agreement] += 1
        if agreement is Agreement.EQUAL:
            outcomes[theirs.class_name if isinstance(theirs, Threw) else "returned"] += 1
        elif agreement is Agreement.DIFFERENT and not failure:
            failure = f"({call.shown(types)}) {shown(theirs)} on the JVM and {shown(ours)} in WebAssembly"
    if not failure and 4 * counts[Agreement.EQUAL] < len(run):
        failure = f"only {counts[Agreement.EQUAL]} of {len(run)} calls ended within the limits of a proof"
    return Proof(
        subject.method.ref,
        seed,
        counts[Agreement.EQUAL],
        counts[Agreement.UNDECIDED],
        dict(sorted(outcomes.items())),
        failure,
    )
