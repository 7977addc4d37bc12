"""An app out of its APK on Android's framework classes: its code on a JVM, its resources read by Android."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fixtures.build import ANDROID_JAR, maven_jar
from tests.android.robolectric.framework import framework
from tests.conftest import ROOT
from tests.tools import enjarify, run

__all__ = ["InstalledApp", "cases"]

SOURCES = Path(__file__).with_name("java")
MANIFEST = ROOT / "fixtures" / "app" / "src" / "main" / "AndroidManifest.xml"


def cases(test_class: str) -> list[str]:
    """Return the names of a test class's tests, read from its source."""
    source = (SOURCES / f"{test_class}.java").read_text()
    return [f"{test_class}.{name}" for name in re.findall(r"@Test\s+public void (\w+)\(", source)]


@dataclass(frozen=True, slots=True)
class InstalledApp:
    """A folder with what a JVM needs of an APK, and with the compiled tests."""

    folder: Path

    @classmethod
    def install(cls, apk: Path, compiled: Path, folder: Path) -> InstalledApp:
        """Convert the APK's code, unpack its assets, and compile the tests against the app's class files.

        `compiled` has them as javac made them: the conversion forgets which classes are nested.
        """
        enjarify(apk, folder / "app.jar")
        run("unzip", "-q", "-o", apk, "assets/*", "-d", folder)
        android = maven_jar(ANDROID_JAR)
        path = f"{framework().libraries}/*:{compiled}:{android}"
        run("javac", "-nowarn", "-cp", path, "-d", folder / "tests", *SOURCES.glob("*.java"))
        settings = folder / "tests" / "com" / "android" / "tools" / "test_config.properties"
        settings.parent.mkdir(parents=True)
        settings.write_text(
            f"android_merged_manifest={MANIFEST}\n"
            f"android_merged_assets={folder / 'assets'}\n"
            f"android_resource_apk={apk}\n"
            "android_custom_package=dev.lawow.demo\n"
        )
        (folder / "tests" / "robolectric.properties").write_text("sdk=35\n")
        return cls(folder)

    def run(self, *test_classes: str, **properties: object) -> dict[str, str]:
        """Run test classes in this order, in one process; return "passed" or the trace of each test.

        In the names of system properties ``_`` stands for the dot. Raises `AssertionError` with the JVM's
        output if it ends before the first test does.
        """
        given = {key.replace("_", "."): value for key, value in properties.items()}
        parts = framework()
        given |= {"robolectric.offline": "true", "robolectric.dependency.dir": parts.sdk}
        # Each call makes a connection of its own, so that every one of them passes the tests' guard.
        given["http.keepAlive"] = "false"
        options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *(f"-D{k}={v}" for k, v in given.items())]
        path = [f"{parts.libraries}/*", self.folder / "app.jar", self.folder, self.folder / "tests"]
        # Last and never run: Robolectric itself is linked against Android before it has its own.
        path.append(maven_jar(ANDROID_JAR))
        done = run("java", *options, "-cp", ":".join(map(str, path)), "Report", *test_classes, check=False)
        outcomes = _outcomes(done.stdout)
        assert outcomes, done.stdout + done.stderr
        return outcomes


def _outcomes(output: str) -> dict[str, str]:
    """Read what `Report` wrote."""
    parts = re.split(r"^(passed|failed) (\w+\.\w+)\n", output, flags=re.MULTILINE)
    found = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    return {name: "passed" if verdict == "passed" else trace for verdict, name, trace in found}
