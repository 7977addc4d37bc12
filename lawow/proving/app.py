"""Proves what `lawow.refactor.automatic` has translated, and keeps what is proved.

A method goes if its own calls differ, and if it brings along a method whose calls differ: its own
calls may have missed what those have found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lawow.dalvik import Program, Translation
from lawow.dalvik.graphs import shape_of
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.errors import Refused
from lawow.formats.dex.names import java_name
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.signature import parse_typed_signature
from lawow.proving.guest import GuestMethod
from lawow.proving.proof import Proof, Subject, prove
from lawow.refactor.automatic import ClassTranslation, Survey
from lawow.refactor.translated import TranslatedClass, Trial

__all__ = ["ProvedApp", "prove_app", "subjects_of"]


@dataclass(frozen=True, slots=True)
class ProvedApp:
    """The classes with the methods that are left, and a sentence for each method that is not."""

    classes: tuple[TranslatedClass, ...]
    refused: tuple[str, ...]


def prove_app(survey: Survey, made: Sequence[ClassTranslation], *, cases: int, seed: int) -> ProvedApp:
    """Compare every method with its original on the JVM.

    Raises `Refused` if nothing is left, or if the JVM or enjarify is not there, `LawowError` if they fail.
    """
    program = survey.program
    subjects = [subject for item in made for subject in subjects_of(program, item.translation)]
    found = prove(subjects, program.method, program.class_view, PLATFORM_EXCEPTIONS, cases=cases, seed=seed)
    proofs = {proof.method: proof for proof in found}
    failures = {ref: proof.failure for ref, proof in proofs.items() if not proof.is_proved}
    why = {ref: text for ref in proofs if (text := _failure(survey, ref, failures))}
    classes = tuple(_kept(made, proofs, why))
    refused = tuple(f"{ref} stays as it is: {text}" for ref, text in why.items())
    if not classes:
        raise Refused(f"{survey.app.name}: no translation is proved to be equal: {'; '.join(refused[:3])}")
    return ProvedApp(classes, refused)


def subjects_of(program: Program, translation: Translation) -> Iterator[Subject]:
    """Yield the methods of a module as they are compared."""
    exceptions = tuple(map(java_name, translation.exceptions))
    for ref, export in translation.exports.items():
        view = program.method(ref)
        if view is not None:
            guest = GuestMethod(
                export.export,
                parse_typed_signature(export.signature),
                export.checked,
                parse_typed_signature(export.checked_signature),
                exceptions,
                tuple(item.descriptor for item in export.parameters),
                export.returns,
                export.graph,
                export.has_this,
                shape_of(export),
            )
            yield Subject(view, translation.wasm, guest)


def _failure(survey: Survey, ref: MethodRef, failures: Mapping[MethodRef, str]) -> str:
    """Return why a method is refused; empty if it is not."""
    if ref in failures:
        return failures[ref]
    closure = next((item.closure for item in survey.chosen if item.ref == ref), ())
    culprit = next((callee for callee in closure if callee in failures), None)
    return "" if culprit is None else f"it calls {culprit}, which differs"


def _kept(
    made: Iterable[ClassTranslation], proofs: Mapping[MethodRef, Proof], why: Mapping[MethodRef, str]
) -> Iterator[TranslatedClass]:
    for item in made:
        refs = [ref for ref in item.translation.exports if ref not in why]
        if refs:
            trials = tuple(_trial(proofs[ref]) for ref in refs)
            yield TranslatedClass(item.descriptor, item.module, item.bound(refs), trials, item.shapes(refs))


def _trial(proof: Proof) -> Trial:
    method = f"{proof.method.name}{proof.method.descriptor}"
    return Trial(method, proof.equal, proof.undecided, tuple(proof.outcomes.items()), proof.seed)
