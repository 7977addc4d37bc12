"""Inputs that several test folders share: the demo's APK, and a real app that is not ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools import run

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
APIDEMOS = "android-apidemos@5.0.0"
APIDEMOS_SHA256 = "5e59f42af4e89200fe33eb82a7c2a2a9224947a8aeb9af6e21b77d40827f7cbc"


def digest_of_sources(*folders: str) -> str:
    """Return a digest of all files below some folders: when it changes, what was built of them is stale."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder with app.apk, app-unsigned.apk and debug.p12, built by `fixtures/build.py`."""
    sources = digest_of_sources("fixtures", "android_stub", "lawow/pack", "lawow/formats")
    out = ROOT / "build" / "test-fixtures" / sources
    if not (out / "app.apk").exists():
        run(sys.executable, ROOT / "fixtures" / "build.py", "apk", "--out", out)
    return out


@pytest.fixture(scope="session")
def demo_apk(demo: Path) -> Path:
    """The signed APK of `fixtures/app`, packed by `lawow pack`."""
    return demo / "app.apk"


@pytest.fixture(scope="session")
def apidemos_apk() -> Path:
    """ApiDemos-debug.apk of the npm package android-apidemos: 6.4 MB, 5,068 classes, made by others."""
    apk = CACHE / "npm" / "ApiDemos-debug.apk"
    if not apk.exists():
        apk.parent.mkdir(parents=True, exist_ok=True)
        run("npm", "pack", "--silent", "--pack-destination", apk.parent, APIDEMOS)
        with tarfile.open(next(apk.parent.glob("android-apidemos-*.tgz"))) as package:
            member = package.extractfile("package/apks/ApiDemos-debug.apk")
            assert member is not None
            apk.write_bytes(member.read())
    assert hashlib.sha256(apk.read_bytes()).hexdigest() == APIDEMOS_SHA256
    return apk


@pytest.fixture(scope="session", autouse=True)
def own_cache() -> Iterator[None]:
    """Keep the tests out of the user's cache folder; what they fetch is kept in the checkout's."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(CACHE / "xdg")
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


def lawow(*argv: str | Path, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "lawow", *map(str, argv)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done
