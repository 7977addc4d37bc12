"""What `lawow pack` puts into an app: modules and the runtime, and which of them it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lawow.errors import FormatError, HostLost, LawowError, LimitExceeded, Refused, UsageError
from lawow.pack import runtimes
from tests.formats.elf_samples import shared_library
from tests.pack.builders import FIBONACCI, app_tree, pack, plan_pack, snapshot, wat

# ---- modules


def test_an_app_without_modules_is_told_where_they_go(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", {})
    with pytest.raises(
        UsageError, match=r"src/main/wasm: holds no \.wasm file; put modules there or name them"
    ):
        plan_pack(app, runtime_dir=runtime_dir)


def test_chosen_files_take_the_place_of_the_folder(app: Path, runtime_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "chosen.wasm").write_bytes(wat(FIBONACCI))
    plan = plan_pack(app, runtime_dir=runtime_dir, wasm=[tmp_path / "chosen.wasm"])
    assert [binding.class_name for binding in plan.bindings] == ["ChosenWasm"]


def outcome_of(app: Path, runtime_dir: Path) -> str:
    """Return the sentence of a bad or refused input, or "packed"."""
    try:
        plan_pack(app, runtime_dir=runtime_dir)
    except (FormatError, Refused) as error:
        return str(error)
    return "packed"


def test_a_module_cut_anywhere_is_a_format_error_and_nothing_else(tmp_path: Path, runtime_dir: Path) -> None:
    whole = wat(FIBONACCI)
    app = app_tree(tmp_path / "app", {})
    path = app / "src/main/wasm/cut.wasm"
    outcomes = []
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        outcomes.append(outcome_of(app, runtime_dir))
    # Without its last section, the names, a module is a whole one.
    assert sum(text == "packed" for text in outcomes) == 1
    assert all(text == "packed" or "cut.wasm" in text for text in outcomes)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        (
            '(module (import "env" "log" (func)) (func (export "f")))',
            Refused,
            r"imports env\.log \(func\), which no app offers",
        ),
        (
            '(module (import "wasi_snapshot_preview1" "sock_open" (func)) (func (export "f")))',
            Refused,
            "sock_open",
        ),
        (
            '(module (import "env" "memory" (memory 1)) (func (export "f")))',
            Refused,
            r"env\.memory \(memory\)",
        ),
        ("(module)", Refused, "exports no function that Java could call"),
        ('(module (func (export "_start")))', Refused, "exports no function that Java could call"),
    ],
)
def test_a_module_that_cannot_run_in_an_app_is_refused(
    tmp_path: Path, runtime_dir: Path, text: str, error: type[LawowError], sentence: str
) -> None:
    app = app_tree(tmp_path / "app", {"odd.wasm": wat(text)})
    before = snapshot(app)
    with pytest.raises(error, match=sentence):
        plan_pack(app, runtime_dir=runtime_dir)
    assert snapshot(app) == before


def test_a_component_is_refused(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", {"part.wasm": wat("(component)")})
    with pytest.raises(FormatError, match=r"part\.wasm: is a component"):
        plan_pack(app, runtime_dir=runtime_dir)


def test_two_modules_of_one_class_and_names_that_are_unsafe_are_refused(
    tmp_path: Path, runtime_dir: Path
) -> None:
    module = wat(FIBONACCI)
    app = app_tree(tmp_path / "two", {"a_b.wasm": module, "a-B.wasm": module})
    with pytest.raises(UsageError, match="would both become the class AB"):
        plan_pack(app, runtime_dir=runtime_dir)
    spaced = app_tree(tmp_path / "spaced", {"a b.wasm": module})
    with pytest.raises(FormatError, match="unsafe module name"):
        plan_pack(spaced, runtime_dir=runtime_dir)


def test_a_module_beyond_the_limit_is_not_even_read(app: Path, runtime_dir: Path) -> None:
    with (app / "src/main/wasm/huge.wasm").open("wb") as stream:
        stream.truncate(65 << 20)
    with pytest.raises(LimitExceeded, match="module_bytes"):
        plan_pack(app, runtime_dir=runtime_dir)


# ---- the runtime


def test_a_runtime_that_cannot_have_16_kb_pages_goes_into_debug_builds(
    app: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runtime"
    shutil.copytree(runtime_dir, folder)
    (folder / "x86_64/libwasmtime.so").write_bytes(shared_library("x86_64", page_bytes=4096))
    plan = pack(app, folder)
    assert list(plan.folders) == ["src/main/jniLibs/arm64-v8a", "src/debug/jniLibs/x86_64"]
    assert any(note.startswith("x86_64 goes into debug builds only: LOAD segments") for note in plan.notes)
    assert (app / "src/debug/jniLibs/x86_64/liblawow.so").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _: b"nonsense", "is not a little-endian ELF file"),
        (lambda data: data[:3000], "libwasmtime"),
        (lambda _: shared_library("x86_64"), "is for machine 62; arm64-v8a is 183"),
        (
            lambda data: data.replace(b"ptr_50_0_0", b"ptr_51_0_0"),
            r"is not wasmtime 50\.0\.1, the only version",
        ),
    ],
    ids=["no-elf", "cut", "machine", "version"],
)
def test_a_runtime_that_would_not_load_is_refused(
    app: Path, runtime_dir: Path, tmp_path: Path, change: object, sentence: str
) -> None:
    folder = tmp_path / "runtime"
    shutil.copytree(runtime_dir, folder)
    path = folder / "arm64-v8a/libwasmtime.so"
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(FormatError, match=sentence):
        plan_pack(app, runtime_dir=folder)


def test_a_folder_without_the_abi_and_an_unknown_abi_are_refused(
    app: Path, tmp_path: Path, runtime_dir: Path
) -> None:
    with pytest.raises(UsageError, match=r"arm64-v8a/libwasmtime\.so: no such file; --runtime-dir needs"):
        plan_pack(app, runtime_dir=tmp_path)
    with pytest.raises(
        UsageError, match="no WebAssembly runtime for armeabi-v7a; there is one for arm64-v8a, x86_64"
    ):
        plan_pack(app, runtime_dir=runtime_dir, abis=["armeabi-v7a"])


def test_the_version_is_the_one_that_lawow_runs_modules_with() -> None:
    from importlib.metadata import requires, version

    assert f"wasmtime=={runtimes.VERSION}" in (requires("lawow") or [])
    assert version("wasmtime") == runtimes.VERSION


def test_without_a_network_pack_says_how_to_go_on(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(app)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    cached = tmp_path / "cache/lawow/runtimes" / runtimes.ABIS["arm64-v8a"].wheel
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"damaged in the cache")
    with pytest.raises(HostLost, match=r"arm64_v8a\.whl could not be fetched .* by --runtime-dir"):
        plan_pack(app)
    assert snapshot(app) == before


def test_the_real_runtimes_pass_the_checks_and_are_as_large_as_announced(app: Path) -> None:
    """Fetches 18 MB once and keeps them in the user's cache."""
    import zlib

    plan = plan_pack(app)
    assert list(plan.folders) == [f"src/main/jniLibs/{abi}" for abi in runtimes.ABIS]
    for item in plan.abis:
        assert item.reason == ""
        assert item.download_bytes is not None
        packed = len(zlib.compress(item.files["libwasmtime.so"], 6)) + len(item.files["liblawow.so"])
        assert 0.95 < packed / item.download_bytes < 1.05
