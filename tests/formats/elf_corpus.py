"""Native libraries that others made, for four ABIs: fetched once by Maven, pinned by digest, not committed.

Conscrypt 2.5.2 is of 2021: its 64-bit libraries have pages of 4 KB, so they show what had to change since.
"""

from __future__ import annotations

import hashlib
import zipfile
from functools import cache
from pathlib import Path

from tests.tools import run

__all__ = ["CONSCRYPT_ABIS", "conscrypt"]

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "maven"
ARTIFACT = "org.conscrypt:conscrypt-android:2.5.2:aar"
SHA256 = "42d18979caf53f5ef68548c76d4c98b41adb910a32ad9448133f9c5b20bd65a3"
CONSCRYPT_ABIS = ("arm64-v8a", "armeabi-v7a", "x86", "x86_64")


@cache
def conscrypt(abi: str) -> bytes:
    """Return libconscrypt_jni.so for one ABI, fetched if it is not there yet."""
    path = CACHE / "conscrypt-android-2.5.2.aar"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={CACHE}")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, path
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"jni/{abi}/libconscrypt_jni.so")
