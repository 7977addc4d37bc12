"""What speaks against the code: damage, versions, gaps, classes that are there twice."""

from __future__ import annotations

import pytest

from lawow.doctor import Severity
from lawow.doctor.dex_checks import _NEARLY_FULL
from lawow.formats.dex import ACC_STATIC, ClassSource, DexBuilder, FieldSource
from tests.doctor.builders import HEALTHY, MAIN, Sample, dex_of, findings, kinds, only
from tests.refactor.builders import smali_class

OTHER = smali_class("org.healthy.Other")
MULTIDEX = smali_class("androidx.multidex.MultiDex")


def test_a_damaged_dex_file_is_named_with_what_is_wrong() -> None:
    whole = dex_of((MAIN,), 21)
    stale = whole[:12] + bytes(20) + whole[32:]
    found = only(HEALTHY.plus({"classes.dex": stale}), "dex-malformed")
    assert (found.place, found.severity) == ("classes.dex", Severity.ERROR)
    assert "checksum" in found.found
    assert "and 1 more" in found.found
    assert only(HEALTHY.plus({"classes.dex": whole[:-8]}), "dex-malformed").place == "classes.dex"
    assert only(HEALTHY.plus({"classes.dex": b"no dex"}), "dex-malformed").place == "classes.dex"


@pytest.mark.parametrize(("api", "version"), [(24, "037"), (26, "038"), (28, "039")])
def test_a_version_that_the_oldest_phones_do_not_know(api: int, version: str) -> None:
    """The version is the one that smali writes for an API level; from that level on it is fine."""
    sample = HEALTHY.but(api=api)
    assert dex_of((MAIN,), api)[4:7] == version.encode()
    found = only(sample.but(min_sdk=api - 1), "dex-version")
    assert found.severity is Severity.ERROR
    assert kinds(sample.but(min_sdk=api)) == set()


def test_a_gap_in_the_numbers_and_its_mend() -> None:
    sample = HEALTHY.plus({"classes3.dex": dex_of((OTHER,), 21)})
    assert only(sample, "dex-gap").place == "classes3.dex"
    assert kinds(HEALTHY.but(dexes=((MAIN,), (OTHER,)))) == set()


def test_an_app_without_code_has_to_say_so() -> None:
    assert only(HEALTHY.but(dexes=()), "no-code").severity is Severity.ERROR
    assert kinds(HEALTHY.but(dexes=(), application='android:hasCode="false"')) == set()


def test_several_dex_files_before_android_5_need_the_library() -> None:
    sample = HEALTHY.but(min_sdk=20, api=19, dexes=((MAIN,), (OTHER,)))
    assert only(sample, "multidex-before-21").severity is Severity.ERROR
    assert kinds(sample.but(min_sdk=21)) == set()
    assert kinds(sample.but(dexes=((MAIN, MULTIDEX), (OTHER,)))) == set()


def test_a_class_that_is_there_twice() -> None:
    found = only(HEALTHY.but(dexes=((MAIN,), (OTHER, MAIN))), "class-defined-twice")
    assert found.place == "classes.dex and classes2.dex"
    assert "org.healthy.Main" in found.found


def test_a_dex_file_that_is_nearly_full_is_told() -> None:
    count = int(65_536 * _NEARLY_FULL)

    def full(fields: int) -> Sample:
        builder = DexBuilder("035")
        members = tuple(FieldSource(f"f{number}", "I", ACC_STATIC) for number in range(fields))
        builder.add(ClassSource("Lorg/healthy/Full;", fields=members))
        return HEALTHY.plus({"classes.dex": builder.build()})

    found = only(full(count + 1), "dex-nearly-full")
    assert found.severity is Severity.NOTE
    assert f"{count + 1:,} fields" in found.found
    assert kinds(full(count - 1)) == set()


def test_all_that_is_wrong_comes_at_once_and_errors_first() -> None:
    sick = HEALTHY.but(application='android:debuggable="true"', dexes=((MAIN,), (OTHER, MAIN)), target_sdk=30)
    weights = [item.severity.rank for item in findings(sick)]
    assert weights == sorted(weights)
    assert kinds(sick) == {"debuggable", "target-sdk-for-play", "class-defined-twice"}
