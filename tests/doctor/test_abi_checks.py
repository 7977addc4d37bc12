"""Which ABIs an app serves, and whether each has everything."""

from __future__ import annotations

from lawow.doctor import Severity, examine
from lawow.formats.apk_set import read_folder_input
from tests.doctor.builders import HEALTHY, findings, kinds, only, split_of_healthy
from tests.formats.elf_samples import shared_library

ARM64 = {"lib/arm64-v8a/libsample.so": shared_library("arm64-v8a")}
X64 = {"lib/x86_64/libsample.so": shared_library("x86_64")}


def of_abis(entries: dict[str, bytes]) -> dict[str, Severity]:
    """Return what is found beside the contents of the libraries."""
    return {item.kind: item.severity for item in findings(HEALTHY.plus(entries)) if "elf-" not in item.kind}


def test_64_bit_libraries_are_fine() -> None:
    assert kinds(HEALTHY.plus({**ARM64, **X64})) == set()


def test_each_32_bit_abi_wants_its_counterpart() -> None:
    old = {"lib/armeabi-v7a/libsample.so": b"32"}
    assert of_abis(old) == {"only-32-bit": Severity.ERROR}
    assert of_abis({**old, **X64}) == {"only-32-bit": Severity.ERROR}
    assert of_abis({**old, **ARM64}) == {}
    assert of_abis({"lib/x86/libsample.so": b"32", **ARM64}) == {"only-32-bit": Severity.ERROR}


def test_an_abi_of_former_times_and_one_that_never_was() -> None:
    assert of_abis({"lib/armeabi/libsample.so": b"32", **ARM64}) == {"obsolete-abi": Severity.NOTE}
    assert of_abis({"lib/arm64/libsample.so": b"64"}) == {"unknown-abi": Severity.WARNING}


def test_an_abi_that_lacks_what_others_have() -> None:
    more = {"lib/x86_64/libmore.so": shared_library("x86_64")}
    found = only(HEALTHY.plus({**ARM64, **X64, **more}), "missing-in-abi")
    assert (found.place, found.severity) == ("lib/arm64-v8a", Severity.WARNING)
    assert "libmore.so" in found.found
    mended = {"lib/arm64-v8a/libmore.so": shared_library("arm64-v8a")}
    assert kinds(HEALTHY.plus({**ARM64, **X64, **more, **mended})) == set()


def test_a_set_for_one_device_has_its_abi_alone() -> None:
    """The library is 64-bit in a 32-bit folder, which is all that is found; whether others exist is open."""
    split = split_of_healthy(entries={"lib/armeabi-v7a/libsample.so": shared_library("arm64-v8a")})
    source = read_folder_input({"base.apk": HEALTHY.build(), "config.apk": split}, "folder")
    found = examine(source).findings
    assert [(item.kind, item.place) for item in found] == [
        ("elf-machine", "config.apk: lib/armeabi-v7a/libsample.so")
    ]
