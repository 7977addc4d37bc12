"""Sets of split APKs: an archive, a folder; what is not one; and what becomes of each APK."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.apk_set import AppInput, InputKind, read_folder_input, read_input
from lawow.formats.signing import SigningKey, verify_apk
from lawow.formats.zip import read_zip
from lawow.refactor.pipeline import Refactored, refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.refactor.builders import FIB, MANIFEST, binary_manifest, make_zip
from tests.refactor.conftest import BuildApp

SPLIT = MANIFEST.replace('package="com.example.app"', 'package="com.example.app" split="{split}"')
LIBRARIES = {
    f"lib/arm64-v8a/lib{name}.so": b"\x7fELF" + bytes(900) for name in ("lawow", "wasmtime", "other")
}


@pytest.fixture(scope="module")
def base(build_app: BuildApp) -> bytes:
    return build_app()


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two configuration splits: one with the runtime's libraries, one without code of any kind."""
    made = {}
    for name, more in (("config.arm64_v8a", LIBRARIES), ("config.en", {"res/raw/x": b"hello"})):
        text = SPLIT.replace("{split}", name)
        manifest = binary_manifest(tmp_path_factory.mktemp("split"), min_sdk=24, text=text)
        stored = [path for path in more if path.endswith(".so")]
        made[name] = make_zip({"AndroidManifest.xml": manifest, **more}, stored=stored)
    return made


def container(base: bytes, splits: dict[str, bytes], **more: bytes) -> bytes:
    """An archive as bundletool and others make it, with things beside the APKs."""
    apks = {f"splits/base-{name}.apk": data for name, data in splits.items()}
    entries = {"toc.pb": b"\x0a\x00", "splits/base-master.apk": base, **apks, "icon.png": b"png" * 9, **more}
    return make_zip(entries, stored=[name for name in entries if name.endswith(".apk")])


def refactor(source: AppInput, key: SigningKey) -> Refactored:
    return refactor_app(source.base, source.base_name, PlanOptions(), SplitOptions(), key, source.companions)


def test_the_base_is_split_and_all_apks_get_the_one_key(
    base: bytes, splits: dict[str, bytes], key: SigningKey
) -> None:
    source = read_input(container(base, splits), "app.apks")
    assert (source.kind, source.base_path) == (InputKind.ARCHIVE, "splits/base-master.apk")
    done = refactor(source, key)
    assert set(done.companions) == {f"splits/base-{name}.apk" for name in splits}
    for apk in (done.apk, *done.companions.values()):
        verdict = verify_apk(apk, min_sdk=24)
        assert verdict.verifies, verdict.issues
        assert verdict.certificates_sha256 == (key.certificate_sha256,)


def test_the_runtimes_libraries_leave_the_split_that_holds_them(
    base: bytes, splits: dict[str, bytes], key: SigningKey
) -> None:
    done = refactor(read_input(container(base, splits), "app.apks"), key)
    names = [entry.path for entry in read_zip(done.companions["splits/base-config.arm64_v8a.apk"]).entries]
    assert names == ["AndroidManifest.xml", "lib/arm64-v8a/libother.so"]
    changed = [change.path for change in done.report.split.changes if change.kind == "library"]
    assert changed == [
        "splits/base-config.arm64_v8a.apk: lib/arm64-v8a/liblawow.so",
        "splits/base-config.arm64_v8a.apk: lib/arm64-v8a/libwasmtime.so",
    ]


def test_a_user_of_the_runtime_in_another_split_keeps_the_libraries(
    base: bytes, splits: dict[str, bytes], key: SigningKey, tmp_path: Path
) -> None:
    manifest = binary_manifest(tmp_path, min_sdk=24, text=SPLIT.replace("{split}", "feature"))
    feature = make_zip({"AndroidManifest.xml": manifest, "assets/more.wasm": FIB})
    source = read_folder_input(
        {"base.apk": base, "feature.apk": feature, "arm.apk": splits["config.arm64_v8a"]}, "f"
    )
    done = refactor(source, key)
    kept = {item.path: item.reason for item in done.report.split.kept}
    assert kept["arm.apk: lib/arm64-v8a/liblawow.so"] == "the module assets/more.wasm stays"
    assert len(read_zip(done.companions["arm.apk"]).entries) == 4


def test_what_is_no_apk_stays_as_it_is_and_so_does_the_order(
    base: bytes, splits: dict[str, bytes], key: SigningKey
) -> None:
    data = container(base, splits)
    source = read_input(data, "app.apks")
    done = refactor(source, key)
    apks = {source.base_path: done.apk, **done.companions}
    before, after = read_zip(data).entries, read_zip(source.replaced(apks)).entries
    assert [entry.name for entry in after] == [entry.name for entry in before]
    for old, new in zip(before, after, strict=True):
        assert (new.method, new.dos_time) == (old.method, old.dos_time)
        expected = apks.get(old.path)
        assert new.read() == (old.read() if expected is None else expected)


def test_an_app_bundle_is_refused_with_the_way_to_get_apks() -> None:
    bundle = make_zip({"BundleConfig.pb": b"", "base/manifest/AndroidManifest.xml": b""})
    with pytest.raises(Refused, match=r"bundletool build-apks --mode=universal --bundle=app.aab"):
        read_input(bundle, "app.aab")


def test_a_set_for_several_devices_is_refused(base: bytes, splits: dict[str, bytes]) -> None:
    with pytest.raises(Refused, match=r"several APKs are a base .*standalone.apk.*--mode=universal"):
        read_input(container(base, splits, **{"standalone.apk": base}), "app.apks")
    twice = {"a.apk": base, "b.apk": splits["config.en"], "c.apk": splits["config.en"]}
    with pytest.raises(Refused, match=r"several APKs are the split config.en \(b.apk, c.apk\)"):
        read_folder_input(twice, "folder")


def test_a_set_without_its_base_or_of_two_apps_is_refused(
    base: bytes, splits: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="there is no base APK, only splits"):
        read_folder_input({"a.apk": splits["config.en"]}, "folder")
    other = SPLIT.replace("com.example.app", "com.other").replace("{split}", "x")
    stranger = make_zip({"AndroidManifest.xml": binary_manifest(tmp_path, text=other)})
    with pytest.raises(Refused, match=r"different packages \(com.example.app, com.other\)"):
        read_folder_input({"base.apk": base, "x.apk": stranger}, "folder")


def test_a_damaged_member_is_named_with_its_place(base: bytes, splits: dict[str, bytes]) -> None:
    damaged = container(base, {"config.en": splits["config.en"][:-30]})
    with pytest.raises(FormatError, match=r"^app.apks: splits/base-config.en.apk: "):
        read_input(damaged, "app.apks")


def test_a_set_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lawow.formats import apk_set

    limits = type("Limits", (), {"archive_bytes": 1 << 20, "manifest_bytes": 1 << 20})
    monkeypatch.setattr(apk_set, "ARCHIVE", limits)
    bombs = {f"{number}.apk": bytes(300_000) for number in range(4)}
    with pytest.raises(LimitExceeded, match=r"the APKs of bomb.apks: archive_bytes is 1200000"):
        read_input(make_zip(bombs), "bomb.apks")


def test_an_apk_is_itself(base: bytes) -> None:
    source = read_input(base, "app.apk")
    assert (source.kind, source.base, source.companions) == (InputKind.APK, base, ())
    assert source.base_name == "app.apk"
