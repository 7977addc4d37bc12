"""The slim APK in front of Android's own tools, and what stays of the app in front of a disassembler."""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from lawow.errors import LawowError, Refused
from lawow.formats.bundle import read_bundle
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.signing import SigningKey, debug_key, sign_apk, verify_apk
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.edge_properties import EdgeProperties
from lawow.refactor.pipeline import Refactored, preview, refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.proof import find_defects, require_proven
from lawow.refactor.report import report_lines, report_record
from lawow.refactor.split import Split, SplitOptions
from tests.refactor.builders import (
    CONSTRUCTOR,
    FIB,
    MAIN,
    NATIVE_FIB,
    REAL_FIB,
    smali_class,
    smali_method,
    wasm,
)
from tests.refactor.conftest import FIBONACCI, BuildApp
from tests.tools import run

FIB_DESCRIPTOR = "Lcom/example/app/FibonacciWasm;"
REAL = smali_class("com.example.app.FibonacciWasm", REAL_FIB)
RUNTIME = {
    "lib/arm64-v8a/libwasmtime.so": b"\x7fELF runtime" * 1000,
    "lib/arm64-v8a/liblawow.so": b"\x7fELF glue, which opens libwasmtime.so",
}
WITH_RUNTIME = {"assets/lawow/fibonacci.wasm": FIB, **RUNTIME}

INVOKE = "Ljava/lang/invoke/"
BOOT = f"La/Boot;->boot({INVOKE}MethodHandles$Lookup;Ljava/lang/String;{INVOKE}MethodType;){INVOKE}CallSite;"

RefactorApp = Callable[..., Refactored]


@pytest.fixture(scope="module")
def refactor(key: SigningKey) -> RefactorApp:
    """Return a function that refactors an APK with the default options, or those given."""

    def call(data: bytes, plan: PlanOptions | None = None, options: SplitOptions | None = None) -> Refactored:
        return refactor_app(data, "app.apk", plan or PlanOptions(), options or SplitOptions(), key)

    return call


def entries(apk: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(apk)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def dex_of(apk: bytes, name: str) -> Dex:
    return read_dex(entries(apk)[name])


def calls_local(name: str) -> str:
    """Return a resident class that runs a module on the device."""
    return smali_class(
        name,
        smali_method(
            "go",
            "()V",
            "    invoke-static {}, Ldev/lawow/Lawow;->local()Ldev/lawow/Target;\n    return-void",
        ),
    )


def has_module(name: str) -> str:
    """Return a resident class that closes a module of its own."""
    close = "    invoke-virtual {p0}, Ldev/lawow/WasmModule;->close()V\n    return-void"
    return smali_class(name, smali_method("go", "(Ldev/lawow/WasmModule;)V", close))


def holds_string(name: str, text: str) -> str:
    """Return a resident class that uses a string."""
    return smali_class(name, smali_method("go", "()V", f'    const-string v0, "{text}"\n    return-void'))


def kept(done: Refactored) -> dict[str, str]:
    return {item.path: item.reason for item in done.report.split.kept}


@pytest.mark.parametrize("min_sdk", [21, 24, 29])
def test_apksigner_zipalign_aapt_and_dexdump_accept_the_slim_apk(
    build_app: BuildApp, refactor: RefactorApp, tmp_path: Path, min_sdk: int
) -> None:
    path = tmp_path / "slim.apk"
    path.write_bytes(refactor(build_app(min_sdk=min_sdk)).apk)
    run("apksigner", "verify", path)
    verdict = run("apksigner", "verify", "--verbose", "--min-sdk-version", min(min_sdk, 24), path).stdout
    assert f"v1 scheme (JAR signing): {str(min_sdk < 24).lower()}" in verdict
    assert "(APK Signature Scheme v2): true" in verdict
    assert "(APK Signature Scheme v3): true" in verdict
    run("zipalign", "-c", "-p", "4", path)
    badging = run("aapt", "dump", "badging", path).stdout
    assert "uses-permission: name='android.permission.INTERNET'" in badging
    assert run("dexdump", "-d", path).stderr == ""


def test_untouched_entries_keep_order_method_and_compressed_bytes(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    data = build_app(
        entries={"assets/fibonacci.wasm": FIB, "assets/b.bin": b"b" * 999, "a.txt": b"a"}, stored=["a.txt"]
    )
    slim = refactor(data).apk
    before, after = zipfile.ZipFile(BytesIO(data)), zipfile.ZipFile(BytesIO(slim))
    gone = {"assets/fibonacci.wasm"}
    changed = {"classes.dex", "AndroidManifest.xml"}
    order = [name for name in before.namelist() if name not in gone]
    assert after.namelist() == [*order, "classes2.dex", "assets/lawow/edge.properties"]
    for name in set(order) - changed:
        old, new = before.getinfo(name), after.getinfo(name)
        assert (old.compress_type, old.CRC, old.date_time) == (new.compress_type, new.CRC, new.date_time)
        assert raw(data, old) == raw(slim, new)


def raw(data: bytes, info: zipfile.ZipInfo) -> bytes:
    name_bytes, extra_bytes = struct.unpack_from("<HH", data, info.header_offset + 26)
    start = info.header_offset + 30 + name_bytes + extra_bytes
    return data[start : start + info.compress_size]


def test_the_bundle_holds_the_module_the_methods_and_the_origin(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    data = build_app()
    bundle = read_bundle(refactor(data).bundle)
    module, export = bundle.find("FibonacciWasm.fib")
    assert (module.data, export) == (FIB, "fib")
    assert bundle.origin.package == "com.example.app"
    assert bundle.origin.apk_sha256 == hashlib.sha256(data).hexdigest()


def test_the_same_input_and_key_give_the_same_output(build_app: BuildApp, refactor: RefactorApp) -> None:
    first, second = refactor(build_app()), refactor(build_app())
    assert (first.apk, first.bundle) == (second.apk, second.bundle)


def test_nothing_of_the_offloaded_code_stays_readable(build_app: BuildApp, refactor: RefactorApp) -> None:
    data = build_app([REAL, MAIN])
    secret = b"the secret of fibonacci"
    assert secret in entries(data)["classes.dex"]
    assert not any(secret in content for content in entries(refactor(data).apk).values())
    with_orphans = refactor(data, options=SplitOptions(keep_orphan_ids=True))
    assert secret in entries(with_orphans.apk)["classes.dex"]
    assert any("--no-gc" in warning for warning in with_orphans.report.warnings)


def test_other_classes_are_the_same_in_the_disassembler(
    build_app: BuildApp, refactor: RefactorApp, tmp_path: Path
) -> None:
    others = [holds_string(f"com.example.app.Other{number}", f"text {number}") for number in range(5)]
    data = build_app([REAL, MAIN, *others])
    texts = []
    for name, apk in (("before", data), ("after", refactor(data).apk)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "classes.dex").write_bytes(entries(apk)["classes.dex"])
        run("baksmali", "d", folder / "classes.dex", "-o", folder / "out", "--ac", "false")
        texts.append({path.name: path.read_text() for path in (folder / "out").rglob("*.smali")})
    assert texts[0].pop("FibonacciWasm.smali")
    assert texts[0] == texts[1]


def test_what_is_not_proxied_moves_as_it_is(
    build_app: BuildApp, refactor: RefactorApp, tmp_path: Path
) -> None:
    members = (
        '.field public static final NAME:Ljava/lang/String; = "fib"\n.field private static calls:I\n'
        + smali_method(
            "<clinit>",
            "()V",
            "    const/4 v0, 3\n    sput v0, Lcom/example/app/FibonacciWasm;->calls:I\n    return-void",
            flags="static constructor",
            registers=1,
        )
        + CONSTRUCTOR
        + REAL_FIB
        + smali_method("twice", "(I)I", "    add-int v0, p0, p0\n    return v0")
    )
    slim = refactor(build_app([smali_class("com.example.app.FibonacciWasm", members), MAIN])).apk
    (tmp_path / "new.dex").write_bytes(entries(slim)["classes2.dex"])
    run("baksmali", "d", tmp_path / "new.dex", "-o", tmp_path / "out", "--ac", "false")
    text = (tmp_path / "out/com/example/app/FibonacciWasm.smali").read_text()
    for expected in (
        'NAME:Ljava/lang/String; = "fib"',
        "sput v0, Lcom/example/app/FibonacciWasm;->calls:I",
        "add-int v0, p0, p0",
    ):
        assert expected in text
    assert "secret" not in text
    assert "Ldev/lawow/Lawow;->remote(" in text


def test_a_dex_file_that_loses_all_its_classes_is_still_valid(
    build_app: BuildApp, refactor: RefactorApp, tmp_path: Path
) -> None:
    path = tmp_path / "slim.apk"
    path.write_bytes(refactor(build_app([REAL])).apk)
    assert run("dexdump", "-f", path).stderr == ""
    assert dex_of(path.read_bytes(), "classes.dex").class_names() == []


def test_annotations_move_along(build_app: BuildApp, refactor: RefactorApp, tmp_path: Path) -> None:
    note = '.annotation runtime La/Note;\n    value = "kept"\n.end annotation\n'
    method = f".method public static native fib(I)I\n{note}.end method\n"
    data = build_app([smali_class("com.example.app.FibonacciWasm", method, extra=note), MAIN])
    (tmp_path / "new.dex").write_bytes(entries(refactor(data).apk)["classes2.dex"])
    run("baksmali", "d", tmp_path / "new.dex", "-o", tmp_path / "out", "--ac", "false")
    text = (tmp_path / "out/com/example/app/FibonacciWasm.smali").read_text()
    assert text.count('value = "kept"') == 2


def test_a_class_in_two_dex_files_leaves_both(build_app: BuildApp, refactor: RefactorApp) -> None:
    slim = refactor(build_app([FIBONACCI, MAIN], [REAL, holds_string("com.example.app.Other", "x")])).apk
    owners = [
        name
        for name in entries(slim)
        if name.endswith(".dex") and FIB_DESCRIPTOR in dex_of(slim, name).class_names()
    ]
    assert owners == ["classes3.dex"]


def test_the_stub_library_is_there_once_and_new(build_app: BuildApp, refactor: RefactorApp) -> None:
    old = smali_class("dev.lawow.Lawow", smali_method("ancient", "()V", "    return-void"))
    leftover = smali_class("dev.lawow.OldHelper", CONSTRUCTOR)
    neighbour = smali_class("dev.lawow.demo.Neighbour", CONSTRUCTOR)
    slim = refactor(build_app([FIBONACCI, MAIN, old, leftover, neighbour])).apk
    assert dex_of(slim, "classes.dex").class_names() == [
        "Lcom/example/app/Main;",
        "Ldev/lawow/demo/Neighbour;",
    ]
    assert {FIB_DESCRIPTOR, "Ldev/lawow/Lawow;"} <= set(dex_of(slim, "classes2.dex").class_names())
    methods = dex_of(slim, "classes2.dex").class_def("Ldev/lawow/Lawow;").methods
    assert "ancient" not in {method.name for method in methods}


def test_module_and_runtime_go_when_nobody_needs_them(build_app: BuildApp, refactor: RefactorApp) -> None:
    done = refactor(build_app(entries=WITH_RUNTIME))
    assert not set(WITH_RUNTIME) & set(entries(done.apk))
    assert kept(done) == {}
    assert done.report.savings["library"] > 0
    assert done.report.savings["module"] > 0


def test_code_for_the_interpreter_goes_with_its_module(build_app: BuildApp, refactor: RefactorApp) -> None:
    compiled = {"assets/lawow/fibonacci.wasm.pulley": b"code"}
    done = refactor(build_app(entries={**WITH_RUNTIME, **compiled}))
    assert not {*WITH_RUNTIME, *compiled} & set(entries(done.apk))


@pytest.mark.parametrize(
    ("resident", "more", "reason"),
    [
        (calls_local("com.example.app.User"), {}, "com.example.app.User runs modules on the device"),
        (has_module("com.example.app.User"), {}, "com.example.app.User runs modules on the device"),
        (
            holds_string("com.example.app.User", "wasmtime"),
            {},
            'com.example.app.User holds the string "wasmtime"',
        ),
        (
            holds_string("com.example.app.User", "/data/liblawow.so"),
            {},
            'com.example.app.User holds the string "/data/liblawow.so"',
        ),
        ("", {"assets/other.wasm": FIB}, "the module assets/other.wasm stays"),
        ("", {"lib/x86/libown.so": b"..libwasmtime.so.."}, "lib/x86/libown.so loads libwasmtime.so"),
    ],
)
def test_the_runtime_stays_with_a_reason_when_somebody_needs_it(
    build_app: BuildApp, refactor: RefactorApp, resident: str, more: dict[str, bytes], reason: str
) -> None:
    data = build_app([FIBONACCI, MAIN, *filter(None, [resident])], entries={**WITH_RUNTIME, **more})
    done = refactor(data)
    assert kept(done) == dict.fromkeys(RUNTIME, reason)
    assert set(RUNTIME) <= set(entries(done.apk))
    assert "assets/lawow/fibonacci.wasm" not in entries(done.apk)
    done = refactor(data, options=SplitOptions(keep_orphan_ids=True))
    assert kept(done) == dict.fromkeys(RUNTIME, reason)


def test_a_moved_class_that_still_runs_modules_keeps_the_runtime(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    members = NATIVE_FIB + calls_local("x").partition("Object;\n")[2]
    done = refactor(build_app([smali_class("com.example.app.FibonacciWasm", members)], entries=WITH_RUNTIME))
    reason = "a method of com.example.app.FibonacciWasm that is not moved runs modules on the device"
    assert kept(done) == dict.fromkeys(RUNTIME, reason)


@pytest.mark.parametrize("text", ["fibonacci.wasm", "models/fibonacci.wasm", f"fibonacci.wasm@{'0' * 64}"])
def test_a_module_that_residents_open_stays_with_a_reason(
    build_app: BuildApp, refactor: RefactorApp, text: str
) -> None:
    data = build_app([FIBONACCI, MAIN, holds_string("com.example.app.Opener", text)])
    done = refactor(data)
    assert kept(done) == {"assets/fibonacci.wasm": f'com.example.app.Opener holds the string "{text}"'}


def test_the_manifest_stays_byte_for_byte_when_the_permission_is_there(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    once = refactor(build_app())
    assert once.report.split.permission_added
    again = smali_class("com.example.app.Second", NATIVE_FIB)
    contents = {name: data for name, data in entries(once.apk).items() if not name.endswith(".dex")}
    data = build_app([again], entries={**contents, "assets/second.wasm": FIB})
    done = refactor(data, PlanOptions(rules=("Second",)))
    assert not done.report.split.permission_added
    assert entries(done.apk)["AndroidManifest.xml"] == entries(data)["AndroidManifest.xml"]


def test_the_address_of_the_edge_is_written_kept_or_the_default(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    path = "assets/lawow/edge.properties"
    assert entries(refactor(build_app()).apk)[path] == b"edge=https://127.0.0.1:8443\n"
    own = {"assets/fibonacci.wasm": FIB, path: b"edge=https://old\n"}
    assert entries(refactor(build_app(entries=own)).apk)[path] == b"edge=https://old\n"
    edge = EdgeProperties("https://edge.example", "ab" * 32, "secret-token", 7)
    done = refactor(build_app(entries=own), options=SplitOptions(edge=edge))
    assert entries(done.apk)[path] == edge.to_bytes()
    assert any(warning.startswith("the token lies in the APK") for warning in done.report.warnings)


def test_code_that_cannot_move_is_refused_with_method_and_instruction(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    members = NATIVE_FIB + smali_method(
        "call",
        "()V",
        f'    invoke-custom {{}}, call_site_0("run", ()V)@{BOOT}\n    return-void',
    )
    data = build_app([smali_class("com.example.app.FibonacciWasm", members)], api=28, min_sdk=28)
    with pytest.raises(Refused, match=r"app\.apk: classes\.dex: .*FibonacciWasm;->call\(\)V.*invoke-custom"):
        refactor(data)


def test_a_new_key_is_reported_with_its_consequences(
    build_app: BuildApp, refactor: RefactorApp, key: SigningKey
) -> None:
    unsigned = refactor(build_app())
    assert any("not signed" in warning for warning in unsigned.report.warnings)
    archive = unsigned.report.split.plan.app.archive
    own = sign_apk(archive.entries, key, min_sdk=24)
    assert not any("key" in warning for warning in refactor(own).report.warnings)
    foreign = sign_apk(archive.entries, debug_key(), min_sdk=24)
    warning = next(item for item in refactor(foreign).report.warnings if "another signing key" in item)
    assert "does not install it over the original" in warning


def test_the_slim_apk_carries_the_signers_certificate(
    build_app: BuildApp, refactor: RefactorApp, key: SigningKey
) -> None:
    done = refactor(build_app())
    assert verify_apk(done.apk).certificates_sha256 == (key.certificate_sha256,)
    assert done.report.certificate_sha256 == key.certificate_sha256


def test_the_report_says_what_moved_what_stayed_and_what_it_saved(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    done = refactor(build_app(entries=WITH_RUNTIME))
    lines = list(report_lines(done.report))
    assert lines[0] == "moved     com.example.app.FibonacciWasm: fib(I)I -> fibonacci.wasm"
    assert lines[1] == "resident  1 class: its name matches no rule (*Wasm)"
    assert any(line.startswith("removed   lib/arm64-v8a/libwasmtime.so (") for line in lines)
    record = report_record(done.report)
    assert record["resident"] == {"its name matches no rule (*Wasm)": ["com.example.app.Main"]}
    assert record["apk"] == {"path": None, "bytes": len(done.apk)}
    saved = record["saved_bytes"]
    assert isinstance(saved, dict)
    changes = done.report.split.changes
    assert sum(saved.values()) == sum(change.bytes_before - change.bytes_after for change in changes)


def test_a_preview_needs_no_key_and_tells_the_same(build_app: BuildApp, refactor: RefactorApp) -> None:
    data = build_app(entries=WITH_RUNTIME)
    planned = preview(data, "app.apk", PlanOptions(), SplitOptions())
    done = refactor(data)
    assert planned.savings == done.report.savings
    assert planned.split.entries == done.report.split.entries
    assert any(line.startswith("saved     about ") for line in report_lines(planned))


def broken(split: Split, **changes: object) -> Split:
    return replace(split, **changes)  # type: ignore[arg-type]


def test_the_own_check_finds_what_a_defect_would_do(
    build_app: BuildApp, refactor: RefactorApp, key: SigningKey
) -> None:
    done = refactor(build_app(entries={"assets/fibonacci.wasm": FIB, "assets/more.bin": b"more"}))
    split = done.report.split
    require_proven(split, done.apk)
    changed = [
        replace(entry, crc32=0) if entry.path == "res/raw/data.bin" else entry for entry in split.entries
    ]
    defects = {
        "differs although nothing": sign_apk(changed, key, min_sdk=24),
        "names or order differ": sign_apk(split.entries[::-1], key, min_sdk=24),
        "does not fit|was changed": done.apk.replace(b"res/raw/data.bin", b"res/raw/data.bim"),
        "content differs": sign_apk([e for e in split.entries if e.path != "classes2.dex"], key, min_sdk=24),
    }
    for sentence, apk in defects.items():
        assert any(re.search(sentence, defect) for defect in find_defects(split, apk)), sentence
    originals = {"classes.dex": entries(build_app())["classes.dex"]}
    doubled = broken(split, dexes={**split.dexes, **originals})
    assert any("is defined in" in defect for defect in find_defects(doubled, done.apk))
    with pytest.raises(LawowError, match="nothing was written"):
        require_proven(doubled, done.apk)


def test_a_module_beside_its_copy_in_the_apk_takes_the_copy_along(
    build_app: BuildApp, refactor: RefactorApp
) -> None:
    data = build_app(entries={"assets/copy.wasm": FIB, "assets/fibonacci.wasm": wasm({"other": ">"})})
    done = refactor(data, PlanOptions(modules=(ModuleChoice("FibonacciWasm", "mine.wasm", FIB),)))
    assert "assets/copy.wasm" not in entries(done.apk)
    assert "assets/fibonacci.wasm" in entries(done.apk)
