"""Six apps that others made: what is found in them is what Android's own tools say."""

from __future__ import annotations

import re

import pytest

from lawow.doctor import Report, examine
from lawow.formats.apk_set import read_input
from tests.apk.corpus import CORPUS, RealApk
from tests.formats.signing.conftest import Judge, judge
from tests.tools import run

__all__ = ["judge"]

FOUND = {
    "unlock": {"debuggable", "target-sdk-for-phones", "debug-certificate"},
    "uiautomator2-test": {"debuggable", "target-sdk-for-play", "debug-certificate"},
    "stf": {"target-sdk-for-play", "case-clash"},
    "settings": {"debuggable", "target-sdk-for-play", "debug-certificate"},
    "apidemos": {"debuggable", "target-sdk-for-play", "debug-certificate"},
    "uiautomator2": {"debuggable", "target-sdk-for-play", "debug-certificate", "dex-nearly-full"},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("apk", CORPUS, ids=[item.name for item in CORPUS], scope="module"),
]


@pytest.fixture(scope="module")
def report(apk: RealApk) -> Report:
    return examine(read_input(apk.path().read_bytes(), apk.name))


def test_what_is_found_is_what_is_there(apk: RealApk, report: Report) -> None:
    assert {item.kind for item in report.findings} == FOUND[apk.name]
    assert len(report.findings) == len(FOUND[apk.name])


def test_aapt_reads_the_same_manifest(apk: RealApk, report: Report) -> None:
    badging = run("aapt", "dump", "badging", apk.path()).stdout
    levels = dict(re.findall(r"^(sdkVersion|targetSdkVersion):'(\d+)'", badging, re.MULTILINE))
    assert report.min_sdk == int(levels["sdkVersion"])
    assert report.target_sdk == int(levels.get("targetSdkVersion", levels["sdkVersion"]))
    assert f"package: name='{report.package}'" in badging
    is_debuggable = "\napplication-debuggable" in badging
    assert is_debuggable == ("debuggable" in {item.kind for item in report.findings})
    native = re.findall(r"^native-code: (.*)", badging, re.MULTILINE)
    assert set(report.abis) == set(re.findall(r"'([^']+)'", " ".join(native)))


def test_androids_verifier_and_zipalign_agree(apk: RealApk, report: Report, judge: Judge) -> None:
    kinds = {item.kind for item in report.findings}
    verdict = judge(apk.path().read_bytes())
    assert verdict.verifies == (not any(kind.startswith("signing-") for kind in kinds))
    aligned = run("zipalign", "-c", "4", apk.path(), check=False).returncode == 0
    assert aligned == (not {"misaligned-entry", "resources-misaligned"} & kinds)
