"""`lawow pack` on sets of split APKs: which APK gets what, one key for all, and what judges say of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lawow.errors import Refused
from lawow.formats.apk_set import InputKind, read_folder_input, read_input
from lawow.formats.signing import SigningKey, verify_apk
from lawow.formats.zip import read_zip
from lawow.pack import PackOptions
from lawow.pack.apk import ApkPlan, pack_apk, plan_apk
from tests.apk.rounds import entries_of
from tests.conftest import lawow
from tests.formats.elf_samples import shared_library
from tests.refactor.builders import MANIFEST, assemble, binary_manifest, make_zip, smali_class
from tests.tools import run

SPLIT = MANIFEST.replace('package="com.example.app"', 'package="com.example.app" split="{split}"').replace(
    "<application ", '<application android:hasCode="false" '
)
LIBRARIES = ("liblawow.so", "libwasmtime.so")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Splits for two ABIs with a library each, and for a language."""
    contents = {
        "config.arm64_v8a": {"lib/arm64-v8a/libown.so": shared_library("arm64-v8a")},
        "config.x86_64": {"lib/x86_64/libown.so": shared_library("x86_64")},
        "config.en": {"res/raw/x": b"hello"},
    }
    made = {}
    for name, more in contents.items():
        text = SPLIT.replace("{split}", name)
        manifest = binary_manifest(tmp_path_factory.mktemp("split"), min_sdk=26, text=text)
        made[f"split_{name}.apk"] = make_zip({"AndroidManifest.xml": manifest, **more})
    return made


@pytest.fixture
def a_set(small: dict[str, bytes], splits: dict[str, bytes]) -> dict[str, bytes]:
    return {"base.apk": make_zip(small), **splits}


def plan(files: dict[str, bytes], module: Path, runtime_dir: Path, **options: object) -> ApkPlan:
    """Plan to pack a module into these APKs."""
    source = read_folder_input(files, "set")
    fields = {"wasm": (module,), "runtime_dir": runtime_dir, **options}
    asked = PackOptions(**fields)  # type: ignore[arg-type]
    return plan_apk(source.base, source.base_name, asked, companions=source.companions)


def new_paths(found: ApkPlan) -> dict[str, list[str]]:
    """Return the paths of the new entries for each APK that gets any."""
    additions = {item.app.name: [entry.path for entry in item.added] for item in (found.base, *found.splits)}
    return {name: paths for name, paths in additions.items() if paths}


def test_libraries_go_into_the_split_of_their_abi_and_all_else_into_the_base(
    a_set: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    found = plan(a_set, module, runtime_dir)
    assert new_paths(found) == {
        "set: base.apk": [
            "classes2.dex",
            "assets/lawow/fibonacci.wasm",
            "assets/lawow/licenses/lawow-LICENSE",
            "assets/lawow/licenses/wasmtime-LICENSE",
        ],
        "split_config.arm64_v8a.apk": [f"lib/arm64-v8a/{name}" for name in LIBRARIES],
        "split_config.x86_64.apk": [f"lib/x86_64/{name}" for name in LIBRARIES],
    }
    assert found.places == ("split_config.arm64_v8a.apk", "split_config.x86_64.apk")


def test_a_set_for_one_device_gets_that_devices_libraries_alone(
    a_set: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    del a_set["split_config.x86_64.apk"]
    found = plan(a_set, module, runtime_dir)
    assert found.places == ("split_config.arm64_v8a.apk",)
    with pytest.raises(Refused, match=r"has no libraries of its own for x86_64"):
        plan(a_set, module, runtime_dir, abis=("x86_64",))


def test_without_a_split_for_an_abi_the_base_takes_the_libraries(
    a_set: dict[str, bytes], small: dict[str, bytes], module: Path, runtime_dir: Path
) -> None:
    own = {"lib/arm64-v8a/libown.so": shared_library("arm64-v8a")}
    files = {"base.apk": make_zip(small | own), "en.apk": a_set["split_config.en.apk"]}
    found = plan(files, module, runtime_dir)
    assert found.places == ("",)
    assert list(new_paths(found)) == ["set: base.apk"]
    assert new_paths(found)["set: base.apk"][-2:] == [f"lib/arm64-v8a/{name}" for name in LIBRARIES]


def test_every_entry_of_every_apk_stays_and_all_have_one_key(
    a_set: dict[str, bytes], module: Path, runtime_dir: Path, key: SigningKey, tmp_path: Path
) -> None:
    found = plan(a_set, module, runtime_dir)
    packed = pack_apk(found, key)
    results = {"base.apk": packed.apk, **packed.companions}
    assert results.keys() == a_set.keys()
    for addition in (found.base, *found.splits):
        name = addition.app.name.removeprefix("set: ")
        before, after = tmp_path / "before.apk", tmp_path / "after.apk"
        before.write_bytes(a_set[name])
        after.write_bytes(results[name])
        added = {entry.path for entry in addition.added}
        assert entries_of(after, added) == entries_of(before, set())
        assert verify_apk(results[name], min_sdk=26).certificates_sha256 == (key.certificate_sha256,)


def test_what_is_in_the_way_in_a_split_is_refused_by_its_name(
    a_set: dict[str, bytes], module: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    feature = {
        "AndroidManifest.xml": binary_manifest(tmp_path, min_sdk=26, text=SPLIT.replace("{split}", "more")),
        "classes.dex": assemble(tmp_path / "dex", [smali_class("com.example.app.FibonacciWasm")]),
    }
    with pytest.raises(Refused, match=r"more.apk: classes.dex has a class com.example.app.FibonacciWasm"):
        plan({**a_set, "more.apk": make_zip(feature)}, module, runtime_dir)
    feature.pop("classes.dex")
    other = {"assets/lawow/fibonacci.wasm": b"another"}
    with pytest.raises(Refused, match=r"more.apk: has another assets/lawow/fibonacci.wasm already"):
        plan({**a_set, "more.apk": make_zip(feature | other)}, module, runtime_dir)
    packed_before = feature | {"classes.dex": assemble(tmp_path / "lib", [smali_class("dev.lawow.Lawow")])}
    with pytest.raises(Refused, match=r"more.apk: classes.dex holds LAWOW's library"):
        plan({**a_set, "more.apk": make_zip(packed_before)}, module, runtime_dir)


# ---- the command line


def judge(apks: list[Path], key: Path) -> None:
    """Ask Android's tools about each APK, and that all are signed with the key."""
    signers = set()
    for apk in apks:
        said = run("apksigner", "verify", "--min-sdk-version", "26", "--print-certs", apk).stdout
        signers.add(next(line for line in said.splitlines() if "SHA-256" in line))
        assert "package: name='com.example.app'" in run("aapt", "dump", "badging", apk).stdout
        run("zipalign", "-c", "-p", "4", apk)
    assert len(signers) == 1
    shown = run("openssl", "x509", "-in", key, "-noout", "-fingerprint", "-sha256").stdout
    assert shown.split("=")[1].strip().replace(":", "").lower() in signers.pop()


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and its certificate."""
    path = tmp_path_factory.mktemp("key") / "key.pem"
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9000", "-subj", "/CN=test")
    certificate = run("openssl", "req", *options, "-keyout", path).stdout
    path.write_text(path.read_text() + certificate)
    return path


def test_the_command_packs_a_folder_into_a_folder_that_judges_accept(
    a_set: dict[str, bytes], module: Path, runtime_dir: Path, keystore: Path, tmp_path: Path
) -> None:
    folder, result = tmp_path / "app", tmp_path / "app-packed"
    folder.mkdir()
    for name, data in a_set.items():
        (folder / name).write_bytes(data)
    common = ("pack", folder, "--wasm", module, "--runtime-dir", runtime_dir, "--keystore", keystore)
    assert f"would write {result}" in lawow(*common, "--dry-run").stdout
    assert not result.exists()
    out = lawow(*common).stdout
    assert "  arm64-v8a: split_config.arm64_v8a.apk: lib/arm64-v8a, " in out
    assert sorted(path.name for path in result.iterdir()) == sorted(a_set)
    judge(sorted(result.iterdir()), keystore)
    assert {name: (folder / name).read_bytes() for name in a_set} == a_set
    (result / "other.apk").write_bytes(b"")
    refused = lawow(*common, check=False)
    assert (refused.returncode, "app-packed holds other.apk" in refused.stderr) == (4, True)


def test_the_command_packs_an_archive_in_place_of_which_the_doctor_finds_no_error(
    a_set: dict[str, bytes], module: Path, runtime_dir: Path, keystore: Path, tmp_path: Path
) -> None:
    """The doctor's two complaints are older than packing: the example's package, an Android of 2019."""
    xapk = tmp_path / "app.xapk"
    xapk.write_bytes(make_zip({"manifest.json": b"{}", **a_set, "icon.png": b"png" * 9}))
    done = lawow(
        *("pack", xapk, "--wasm", module, "--runtime-dir", runtime_dir, "--keystore", keystore, "--json")
    )
    record = json.loads(done.stdout)
    result = tmp_path / "app-packed.xapk"
    assert record["path"] == str(result)
    assert [item["folder"] for item in record["abis"]] == [
        "split_config.arm64_v8a.apk: lib/arm64-v8a",
        "split_config.x86_64.apk: lib/x86_64",
    ]
    before, after = (read_zip(path.read_bytes()).entries for path in (xapk, result))
    assert [entry.name for entry in after] == [entry.name for entry in before]
    source = read_input(result.read_bytes(), "app-packed.xapk")
    assert source.kind is InputKind.ARCHIVE
    apks = {"base.apk": source.base, **{item.path: item.data for item in source.companions}}
    assert record["bytes"] == sum(map(len, apks.values()))
    for name, data in apks.items():
        (tmp_path / name).write_bytes(data)
    judge([tmp_path / name for name in apks], keystore)
    report = json.loads(lawow("doctor", result, "--json", check=False).stdout)
    errors = {item["kind"] for item in report["findings"] if item["severity"] == "error"}
    assert errors == {"example-package", "target-sdk-for-play"}, report
