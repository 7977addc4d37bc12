"""The Notifier's Android source on Android 15's own classes: a call by a wrong name would be absent here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fixtures.build import ANDROID_JAR, maven_jar
from lawow.resources import android_stub
from tests.android.robolectric.framework import framework
from tests.android.robolectric.harness import SOURCES, InstalledApp
from tests.tools import run

TESTS = sorted((Path(__file__).parent / "metrics").glob("*.java"))
CASES = [
    f"{path.stem}.{name}"
    for path in TESTS
    for name in re.findall(r"@Test\s+public void (\w+)\(", path.read_text())
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of each JUnit test."""
    folder = tmp_path_factory.mktemp("metrics")
    shutil.copy(android_stub("prebuilt", "lawow-stub.jar"), folder / "app.jar")
    path = f"{framework().libraries}/*:{folder / 'app.jar'}:{maven_jar(ANDROID_JAR)}"
    run("javac", "-nowarn", "-cp", path, "-d", folder / "tests", *TESTS, SOURCES / "Report.java")
    (folder / "tests" / "robolectric.properties").write_text("sdk=35\n")
    return InstalledApp(folder).run(*(path.stem for path in TESTS))


@pytest.mark.parametrize("case", CASES)
def test_metrics(outcomes: dict[str, str], case: str) -> None:
    outcome = outcomes.get(case, "did not run")
    assert outcome == "passed", outcome
