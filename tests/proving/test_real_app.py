"""Every candidate of an app that others made (ApiDemos: 5,068 classes), translated and held to the JVM."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from lawow.dalvik import translate
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.formats.apk import read_app
from lawow.proving.app import subjects_of
from lawow.proving.proof import Proof, prove
from lawow.refactor.automatic import AutoOptions, Survey, survey_app
from tests.apk.corpus import CORPUS
from tests.conftest import lawow
from tests.tools import run

JUDGE_IS_SILENT = (
    "can't run apart",
    "within the limits of a proof",
    "makes a L",
    "uses the field",
    "without its sign",
)
"""Why a method may have no proof: its class' initialiser makes objects, or enjarify is known to be wrong."""


@pytest.fixture(scope="module")
def survey(apidemos_apk: Path) -> Survey:
    return survey_app(read_app(apidemos_apk.read_bytes(), name="ApiDemos-debug.apk"), AutoOptions())


def prove_all(survey: Survey, cases: int) -> list[Proof]:
    program = survey.program
    translation = translate(program, [item.candidate.ref for item in survey.ranked])
    subjects = list(subjects_of(program, translation))
    return prove(subjects, program.method, program.class_view, PLATFORM_EXCEPTIONS, cases=cases, seed=1)


def require_no_difference(proofs: list[Proof], *, equal: int) -> None:
    failures = [f"{proof.method}: {proof.failure}" for proof in proofs if not proof.is_proved]
    assert [item for item in failures if not any(why in item for why in JUDGE_IS_SILENT)] == []
    assert len(failures) < len(proofs) / 50
    assert sum(proof.equal for proof in proofs) >= equal


@pytest.mark.slow
def test_no_candidate_of_the_app_differs_in_two_thousand_calls(survey: Survey) -> None:
    assert len(survey.ranked) > 900
    proofs = prove_all(survey, 3)
    require_no_difference(proofs, equal=2_000)
    outcomes = sum((Counter(proof.outcomes) for proof in proofs), Counter())
    assert {"returned", "java.lang.ArrayIndexOutOfBoundsException", "java.lang.ArithmeticException"} <= set(
        outcomes
    )


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "candidates"), [("stf", 850), ("settings", 1_000), ("apidemos", 900), ("uiautomator2", 1_450)]
)
def test_no_candidate_of_real_apps_differs_in_twenty_thousand_calls(name: str, candidates: int) -> None:
    (path,) = [item.path() for item in CORPUS if item.name == name]
    survey = survey_app(read_app(path.read_bytes(), name=path.name), AutoOptions())
    assert len(survey.ranked) >= candidates
    require_no_difference(prove_all(survey, 25), equal=20_000)


@pytest.mark.slow
def test_one_command_offloads_a_sort_of_the_app_and_every_judge_agrees(
    apidemos_apk: Path, tmp_path: Path
) -> None:
    options = ("--allow-old-android", "--debug-key", "--judges", "--cases", "50", "--out", tmp_path)
    done = lawow("refactor", apidemos_apk, "--auto", "--rule", "*UArraySortingKt", *options)
    assert done.stdout.count("50 calls did the same on the JVM and in WebAssembly") == 4
    slim = tmp_path / "ApiDemos-debug-slim.apk"
    assert run("apksigner", "verify", slim).returncode == 0
    with zipfile.ZipFile(tmp_path / "ApiDemos-debug-offload.jar") as bundle:
        assert "lawow/modules/auto-UArraySortingKt.wasm" in bundle.namelist()
