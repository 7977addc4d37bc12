"""`lawow pack` on finished APKs: what goes in, that nothing else changes, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lawow.errors import FormatError, LawowError, Refused, UsageError
from lawow.formats.apk import read_app
from lawow.formats.axml import read_manifest
from lawow.formats.dex.reader import read_dex
from lawow.formats.signing import SigningKey
from lawow.formats.zip import STORED, find_misaligned, read_zip
from lawow.pack import PackOptions
from lawow.pack.apk import pack_apk, plan_apk
from lawow.pack.profile import Profile
from lawow.resources import android_stub
from tests.apk.rounds import entries_of
from tests.conftest import lawow
from tests.formats.elf_samples import shared_library
from tests.pack.builders import added, plan_small
from tests.refactor.builders import MANIFEST, assemble, binary_manifest, make_zip, smali_class

# ---- what goes in


def test_new_are_one_dex_file_the_modules_the_licences_and_two_libraries_for_each_abi(
    small: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    found = plan_small(small, module, runtime_dir)
    assert found.package == "com.example.app"
    assert set(added(found)) == {
        "classes2.dex",
        "assets/lawow/fibonacci.wasm",
        "assets/lawow/licenses/lawow-LICENSE",
        "assets/lawow/licenses/wasmtime-LICENSE",
        *(f"lib/{abi}/lib{name}.so" for abi in ("arm64-v8a", "x86_64") for name in ("lawow", "wasmtime")),
    }
    stub = read_dex(android_stub("prebuilt", "lawow-stub.dex").read_bytes())
    names = set(read_dex(added(found)["classes2.dex"]).class_names())
    assert names == {*stub.class_names(), "Lcom/example/app/FibonacciWasm;"}


def test_every_entry_that_was_there_is_the_same_and_in_its_place(
    small: dict[str, bytes], module: Path, runtime_dir: Path, key: SigningKey, tmp_path: Path
) -> None:
    before, after = tmp_path / "before.apk", tmp_path / "after.apk"
    before.write_bytes(make_zip(small))
    found = plan_small(small, module, runtime_dir)
    after.write_bytes(pack_apk(found, key).apk)
    assert entries_of(after, set(added(found))) == entries_of(before, set())


def test_the_same_app_modules_and_key_give_the_same_bytes(
    small: dict[str, bytes], module: Path, runtime_dir: Path, key: SigningKey
) -> None:
    first, second = (pack_apk(plan_small(small, module, runtime_dir), key).apk for _ in range(2))
    assert first == second


def with_extraction(small: dict[str, bytes], extracts: bool) -> dict[str, bytes]:
    manifest = read_manifest(small["AndroidManifest.xml"])
    manifest.set_application_attribute("extractNativeLibs", extracts)
    return small | {"AndroidManifest.xml": manifest.to_bytes()}


@pytest.mark.parametrize("extracts", [True, False, None])
def test_libraries_are_stored_and_aligned_exactly_where_the_installer_does_not_extract_them(
    small: dict[str, bytes], module: Path, runtime_dir: Path, key: SigningKey, extracts: bool | None
) -> None:
    entries = small if extracts is None else with_extraction(small, extracts)
    archive = read_zip(pack_apk(plan_small(entries, module, runtime_dir), key).apk)
    libraries = [entry for entry in archive.entries if entry.path.endswith(".so")]
    assert {entry.method == STORED for entry in libraries} == {extracts is False}
    if extracts is False:
        assert all(entry.data_offset % 16_384 == 0 for entry in libraries)
    assert list(find_misaligned(archive)) == []


@pytest.mark.parametrize(
    ("own", "asked", "packed", "uncovered"),
    [
        ((), (), ["arm64-v8a", "x86_64"], ()),
        ((), ("x86_64",), ["x86_64"], ()),
        (("arm64-v8a", "armeabi-v7a"), (), ["arm64-v8a"], ("armeabi-v7a",)),
        (("arm64-v8a", "x86_64"), ("arm64-v8a",), ["arm64-v8a"], ("x86_64",)),
    ],
)
def test_only_abis_of_the_app_get_a_runtime(
    small: dict[str, bytes],
    module: Path,
    runtime_dir: Path,
    own: tuple[str, ...],
    asked: tuple[str, ...],
    packed: list[str],
    uncovered: tuple[str, ...],
) -> None:
    libraries = {f"lib/{abi}/libown.so": shared_library("arm64-v8a") for abi in own}
    found = plan_small(small | libraries, module, runtime_dir, abis=asked)
    assert [item.abi for item in found.abis] == packed
    assert found.uncovered == uncovered
    alone = [note for note in found.notes if note.startswith("the app had no native code")]
    assert bool(alone) == (not own)


def test_without_a_runtime_the_classes_call_the_edge_and_the_app_asks_for_the_internet(
    small: dict[str, bytes], module: Path, key: SigningKey
) -> None:
    found = plan_small(small, module, None, runtime="none")
    assert not any(path.endswith((".so", "wasmtime-LICENSE")) for path in added(found))
    dex = read_dex(added(found)["classes2.dex"])
    called = dex.references_of(dex.class_def("Lcom/example/app/FibonacciWasm;")).methods
    assert {method.name for method in called if method.class_name == "Ldev/lawow/Lawow;"} == {"remote"}
    packed = read_app(pack_apk(found, key).apk, name="packed.apk")
    assert packed.manifest.permissions == ("android.permission.INTERNET",)


def test_a_profile_becomes_the_settings_of_the_app(
    small: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    found = plan_small(small, module, runtime_dir, profile=Profile((("fuel", "5"), ("engine", "pulley"))))
    lines = added(found)["assets/lawow/edge.properties"].decode().splitlines()
    assert lines[1:] == ["engine=pulley", "fuel=5"]
    assert found.tier == "interpreter"


# ---- what is refused


def refusal(entries: Mapping[str, bytes], module: Path, runtime_dir: Path, **options: object) -> str:
    with pytest.raises((Refused, UsageError)) as caught:
        plan_small(entries, module, runtime_dir, **options)
    return str(caught.value)


def test_what_is_in_the_way_is_refused_by_name(
    small: dict[str, bytes], module: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    taken = assemble(tmp_path / "dex", [smali_class("com.example.app.FibonacciWasm")])
    assert "classes.dex has a class com.example.app.FibonacciWasm already" in refusal(
        small | {"classes.dex": taken}, module, runtime_dir
    )
    for path in ("assets/lawow/fibonacci.wasm", "lib/arm64-v8a/libwasmtime.so"):
        entries = small | {
            path: b"another",
            "lib/x86_64/libown.so": b"own",
            "lib/arm64-v8a/libown.so": b"own",
        }
        assert f"has another {path} already" in refusal(entries, module, runtime_dir)
    same = plan_small(small | {"assets/lawow/fibonacci.wasm": module.read_bytes()}, module, runtime_dir)
    assert "assets/lawow/fibonacci.wasm" not in added(same)


def test_an_app_that_is_packed_already_is_refused(
    small: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    twice = small | {"classes2.dex": added(plan_small(small, module, runtime_dir))["classes2.dex"]}
    assert "classes2.dex holds LAWOW's library, so this app has been packed" in refusal(
        twice, module, runtime_dir
    )


def test_native_code_without_a_runtime_for_it_is_refused(
    small: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    old = small | {"lib/armeabi-v7a/libown.so": b"own"}
    assert "for armeabi-v7a, for which there is no runtime; --runtime none" in refusal(
        old, module, runtime_dir
    )
    arm = small | {"lib/arm64-v8a/libown.so": b"own"}
    assert "no libraries of its own for x86_64" in refusal(arm, module, runtime_dir, abis=("x86_64",))
    assert plan_small(old, module, None, runtime="none").abis == ()


def test_an_old_minimum_of_android_is_refused_unless_the_user_knows_better(
    small: dict[str, bytes], module: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    old = small | {"AndroidManifest.xml": binary_manifest(tmp_path, min_sdk=19)}
    assert "minSdkVersion is 19; Android before 21 does not load classes2.dex" in refusal(
        old, module, runtime_dir
    )
    options = PackOptions(wasm=(module,), runtime_dir=runtime_dir)
    found = plan_apk(make_zip(old), "app.apk", options, allow_old_android=True)
    assert "minSdk is 19; the runtime needs 26, and runs native code from 29 on" in found.notes


def test_a_manifest_without_an_application_is_a_format_error_that_names_the_apk(
    small: dict[str, bytes], module: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    text = MANIFEST.partition("<application")[0] + "</manifest>"
    odd = small | {"AndroidManifest.xml": binary_manifest(tmp_path, min_sdk=26, text=text)}
    with pytest.raises(FormatError, match=r'app\.apk: .*exactly one "application"'):
        plan_small(odd, module, runtime_dir)


def test_a_damaged_apk_is_a_format_error_and_nothing_else(
    small: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    whole = make_zip(small)
    options = PackOptions(wasm=(module,), runtime_dir=runtime_dir)
    for size in range(0, len(whole), 97):
        with pytest.raises(FormatError, match=r"app\.apk"):
            plan_apk(whole[:size], "app.apk", options)
    outcomes = [outcome_with_a_byte_changed(whole, at, options) for at in range(0, len(whole), 61)]
    assert all(text == "packed" or "app.apk" in text for text in outcomes)
    assert any(text != "packed" for text in outcomes)


def outcome_with_a_byte_changed(whole: bytes, at: int, options: PackOptions) -> str:
    """Return the refusal of a file with one changed byte, or "packed"."""
    data = bytearray(whole)
    data[at] ^= 0xFF
    try:
        plan_apk(bytes(data), "app.apk", options)
    except LawowError as error:
        return str(error)
    return "packed"


# ---- the command line


def test_the_command_writes_beside_the_input_says_what_it_did_and_needs_a_key(
    small: dict[str, bytes], module: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(make_zip(small))
    common = ("pack", apk, "--wasm", module, "--runtime-dir", runtime_dir)
    refused = lawow(*common, check=False)
    assert refused.returncode == 2
    assert "the packed APK must be signed: give --keystore FILE, or --debug-key" in refused.stderr
    planned = lawow(*common, "--dry-run").stdout
    assert f"would write {tmp_path / 'app-packed.apk'}" in planned
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.apk"]
    out = lawow(*common, "--debug-key").stdout
    size = (tmp_path / "app-packed.apk").stat().st_size
    assert f"wrote {tmp_path / 'app-packed.apk'} ({size:,} bytes, {size - apk.stat().st_size:,} more" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--check",), "APP is an APK, for which there is no --check"),
        (("--remove", "--force"), "no --remove and no --force"),
        ((), "name the modules with --wasm, or in lawow.toml"),
        (("--runtime", "none", "--abi", "x86_64"), "--runtime none packs no runtime"),
    ],
)
def test_options_that_do_not_fit_an_apk_are_refused(
    small: dict[str, bytes], tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(make_zip(small))
    done = lawow("pack", apk, "--debug-key", *options, check=False)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [apk])
    assert sentence in done.stderr
