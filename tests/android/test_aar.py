"""The Android archive of `mvn package`: what is in it, and that a shrinker leaves what its rules keep."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from lawow.resources import android_stub
from tests.android.builders import Jvm
from tests.conftest import ROOT
from tests.maven import proguard_folder
from tests.tools import run, tool

ABIS = ("arm64-v8a", "x86_64")
RULES = ("aar", "proguard.txt")


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what Maven builds from a copy of `android_stub`."""
    root = tmp_path_factory.mktemp("maven")
    shutil.copytree(android_stub("."), root / "android_stub", ignore=shutil.ignore_patterns("__pycache__"))
    run("mvn", "-q", "-B", "package", cwd=root / "android_stub")
    return root / "build" / "aar"


@pytest.mark.slow
def test_the_archive_holds_classes_glue_manifest_and_rules_and_nothing_else(packaged: Path) -> None:
    with zipfile.ZipFile(packaged / f"lawow-android-{version()}.aar") as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
        times = {item.date_time for item in archive.infolist()}
    assert sorted(contents) == [
        "AndroidManifest.xml",
        "LICENSE",
        "classes.jar",
        "jni/arm64-v8a/liblawow.so",
        "jni/x86_64/liblawow.so",
        "proguard.txt",
    ]
    for abi in ABIS:
        prebuilt = android_stub("prebuilt", abi, "liblawow.so").read_bytes()
        assert contents[f"jni/{abi}/liblawow.so"] == prebuilt
    assert contents["proguard.txt"] == android_stub(*RULES).read_bytes()
    assert b'android:minSdkVersion="21"' in contents["AndroidManifest.xml"]
    assert times == {(1980, 2, 1, 0, 0, 0)}


@pytest.mark.slow
def test_its_classes_are_those_that_lawow_pack_and_refactor_use(packaged: Path) -> None:
    with zipfile.ZipFile(packaged / f"lawow-android-{version()}.aar") as archive:
        inner = archive.read("classes.jar")
    assert class_files(io.BytesIO(inner)) == class_files(
        io.BytesIO(android_stub("prebuilt", "lawow-stub.jar").read_bytes())
    )


def class_files(jar: io.BytesIO) -> dict[str, str]:
    with zipfile.ZipFile(jar) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if name.endswith(".class")
        }


@pytest.mark.slow
def test_sources_and_javadoc_go_along(packaged: Path) -> None:
    with zipfile.ZipFile(packaged / f"lawow-android-{version()}-sources.jar") as archive:
        sources = {name for name in archive.namelist() if name.endswith(".java")}
    java = android_stub("java")
    assert sources == {path.relative_to(java).as_posix() for path in java.rglob("*.java")}
    with zipfile.ZipFile(packaged / f"lawow-android-{version()}-javadoc.jar") as archive:
        pages = set(archive.namelist())
        page = archive.read("dev/lawow/WasmInstance.html").decode()
    assert "dev/lawow/Native.html" not in pages
    assert "IndexOutOfBoundsException" in page


def test_its_version_is_that_of_lawow() -> None:
    found = re.search(r"<artifactId>lawow-android</artifactId>\s*<version>(.*?)</version>", pom())
    assert found is not None
    assert found.group(1) == version()


def pom() -> str:
    return android_stub("pom.xml").read_text()


# ---- shrinking: ProGuard, whose rules R8 takes


@pytest.fixture(scope="module")
def proguard() -> Path:
    return proguard_folder()


def shrunk(proguard: Path, jvm: Jvm, rules: str, out: Path) -> Jvm:
    """Shrink, optimise and rename the stub and the test's classes; return a JVM that has nothing else."""
    stub, classes, resources = jvm.class_path
    jmods = Path(tool("java")).resolve().parents[1] / "jmods" / "java.base.jmod"
    (out / "rules.pro").write_text(
        f"-injars {stub}\n-injars {classes}\n-outjars {out / 'app.jar'}\n"
        f"-libraryjars {jmods}(!**.jar;!module-info.class)\n-dontwarn\n-dontnote\n-optimizationpasses 1\n"
        f"-keep class Modules {{ public static void main(java.lang.String[]); }}\n{rules}\n"
    )
    run("java", "-cp", f"{proguard}/*", "proguard.ProGuard", f"@{out / 'rules.pro'}")
    return replace(jvm, class_path=(out / "app.jar", resources))


def test_an_app_works_when_a_shrinker_has_followed_the_rules(
    proguard: Path, local_jvm: Jvm, tmp_path: Path
) -> None:
    small = shrunk(proguard, local_jvm, android_stub(*RULES).read_text(), tmp_path)
    with zipfile.ZipFile(tmp_path / "app.jar") as archive:
        names = archive.namelist()
    assert "dev/lawow/Native.class" in names
    assert "dev/lawow/WasmModule.class" not in names  # it was renamed: the rules keep no more than they must
    assert not any("Remote" in name for name in names)
    for scenario in ("state", "host", "exceptions"):
        assert small.run("Modules", scenario) == "all good\n"


def test_without_the_rule_for_host_functions_the_error_names_what_is_missing(
    proguard: Path, local_jvm: Jvm, tmp_path: Path
) -> None:
    rules = [line for line in android_stub(*RULES).read_text().splitlines() if "hostCall" not in line]
    small = shrunk(proguard, local_jvm, "\n".join(rules), tmp_path)
    assert small.run("Modules", "state") == "all good\n"
    with pytest.raises(AssertionError, match="NoSuchMethodError"):
        small.run("Modules", "host")
