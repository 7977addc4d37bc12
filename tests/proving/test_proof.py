"""Equal methods are proved, different ones found, and what can't be judged is said to be so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lawow.dalvik import Program, Translation
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.errors import Refused
from lawow.proving.app import subjects_of
from lawow.proving.proof import Proof, Subject, prove

pytestmark = pytest.mark.slow
CASES = 120


def subject(program: Program, translation: Translation, name: str, *, exported: str = "") -> Subject:
    """Return a method as its own export, or as that of another method with the same types."""
    known = {item.method.name: item for item in subjects_of(program, translation)}
    return replace(known[name], guest=known[exported or name].guest)


def proofs_of(program: Program, *subjects: Subject, seed: int = 7) -> dict[str, Proof]:
    found = prove(subjects, program.method, program.class_view, PLATFORM_EXCEPTIONS, cases=CASES, seed=seed)
    return {proof.method.name: proof for proof in found}


@pytest.fixture(scope="module")
def proofs(program: Program, translation: Translation) -> dict[str, Proof]:
    names = [ref.name for ref in translation.exports]
    return proofs_of(program, *(subject(program, translation, name) for name in names))


@pytest.mark.parametrize(
    "name", ["add", "divide", "square", "half", "narrow", "twice", "shift", "subtract", "almostAdd"]
)
def test_a_faithful_translation_is_proved(proofs: dict[str, Proof], name: str) -> None:
    proof = proofs[name]
    assert proof.failure == ""
    assert proof.equal + proof.undecided == CASES
    assert proof.outcomes["returned"] > 20


def test_exceptions_are_compared_by_their_class(proofs: dict[str, Proof]) -> None:
    assert proofs["divide"].outcomes["java.lang.ArithmeticException"] > 1
    assert proofs["shift"].outcomes["java.lang.ArrayIndexOutOfBoundsException"] > 1


def test_a_method_that_does_something_else_is_found_with_its_arguments(
    program: Program, translation: Translation
) -> None:
    wrong = subject(program, translation, "add", exported="subtract")
    proof = proofs_of(program, wrong)["add"]
    assert proof.failure.startswith("(")
    assert "on the JVM and returns" in proof.failure
    assert not proof.is_proved


def test_one_wrong_value_in_four_billion_is_met_by_the_edge_values(
    program: Program, translation: Translation
) -> None:
    wrong = subject(program, translation, "add", exported="almostAdd")
    found = prove([wrong], program.method, program.class_view, PLATFORM_EXCEPTIONS, cases=1500, seed=1)
    assert "-2147483648" in found[0].failure


def test_calls_that_do_not_end_decide_nothing(proofs: dict[str, Proof]) -> None:
    assert proofs["endless"].undecided > CASES / 4
    assert proofs["deep"].undecided > CASES / 4  # the stack is exhausted, or the fuel
    assert set(proofs["deep"].outcomes) <= {"returned"}


def test_a_copy_of_a_parameter_is_not_the_parameter(proofs: dict[str, Proof]) -> None:
    assert "returns the array of parameter 0 on the JVM" in proofs["same"].failure


def test_what_the_judge_is_known_to_read_wrong_is_not_proved(proofs: dict[str, Proof]) -> None:
    assert "without its sign" in proofs["sign"].failure


def test_the_same_seed_gives_the_same_proof(program: Program, translation: Translation) -> None:
    names = ("divide", "deep")
    first, again = (
        proofs_of(program, *(subject(program, translation, name) for name in names)) for _ in range(2)
    )
    assert first == again
    other = proofs_of(program, subject(program, translation, "divide"), seed=8)
    assert other["divide"].outcomes != first["divide"].outcomes


def test_a_missing_judge_is_named_with_its_package(
    program: Program, translation: Translation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match=r"apt-get install default-jdk-headless enjarify .*--unproved"):
        proofs_of(program, subject(program, translation, "add"))
