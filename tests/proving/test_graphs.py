"""Objects and arrays of arrays: what a call leaves behind is what the JVM leaves, with all that is shared."""

from __future__ import annotations

import re

import pytest

from lawow.dalvik import Program, translate
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.errors import Refused
from lawow.formats.dex import read_dex
from lawow.proving.app import subjects_of
from lawow.proving.proof import Proof, prove
from tests.conftest import ROOT
from tests.refactor.kernels import compile_dex

CASES = 60
METHODS = 30


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    sources = [ROOT / "fixtures" / "dalvik" / f"{name}.java" for name in ("Matrices", "Objects")]
    return Program([read_dex(compile_dex(sources, tmp_path_factory.mktemp("graphs")))])


@pytest.fixture(scope="module")
def proofs(program: Program) -> dict[str, Proof]:
    refs = [item.ref for view in program.dexes[0].classes for item in view.methods if not item.is_initializer]
    translation = translate(program, refs)
    subjects = list(subjects_of(program, translation))
    found = prove(subjects, program.method, program.class_view, PLATFORM_EXCEPTIONS, cases=CASES, seed=5)
    return {f"{proof.method.class_name[9:-1]}.{proof.method.name}": proof for proof in found}


def test_no_method_differs(proofs: dict[str, Proof]) -> None:
    assert {name: proof.failure for name, proof in proofs.items() if not proof.is_proved} == {}
    assert len(proofs) == METHODS
    outcomes = {name for proof in proofs.values() for name in proof.outcomes}
    assert {
        "returned",
        "java.lang.NullPointerException",
        "java.lang.ArrayIndexOutOfBoundsException",
    } <= outcomes
    assert "kernels.Objects$Full" in proofs["Objects.limit"].outcomes


def test_an_object_that_only_the_app_can_make_leaves_the_call_to_the_original(
    proofs: dict[str, Proof],
) -> None:
    undecided = {name for name, proof in proofs.items() if proof.undecided}
    assert undecided == {"Objects.made"}


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        ("Objects$Everything", "rename", "calls Ljava/lang/StringBuilder;"),
        ("Objects$Point", "<init>", "is a constructor"),
        ("Objects$Counter", "<init>", "needs Lkernels/Objects$Everything; and gets"),
    ],
)
def test_what_is_more_than_data_is_refused(program: Program, owner: str, name: str, reason: str) -> None:
    (view,) = [item for item in program.dexes[0].class_def(f"Lkernels/{owner};").methods if item.name == name]
    with pytest.raises(Refused, match=re.escape(reason)):
        translate(program, [view.ref])
