"""The parts of LAWOW in an app: what a shrinker, a forgotten step or another version does to them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import wasmtime

from lawow.doctor import Severity
from lawow.resources import android_stub
from tests.conftest import lawow
from tests.doctor.builders import HEALTHY, MAIN, Sample, findings, kinds, only
from tests.formats.elf_samples import TARGETS, VERSION_MARK, shared_library
from tests.refactor.builders import FIB, smali_class, smali_method

MODULE = "assets/lawow/fibonacci.wasm"
NAMED = f"fibonacci.wasm@{hashlib.sha256(FIB).hexdigest()}"
STUB = android_stub("prebuilt", "lawow-stub.dex").read_bytes()
INTERNET = '<uses-permission android:name="android.permission.INTERNET" />'
EDGE = "assets/lawow/edge.properties"
ON_CLASS = f'.annotation build Ldev/lawow/Offload;\n    module = "{NAMED}"\n.end annotation\n'
ON_METHOD = """.annotation build Ldev/lawow/Offload;
        export = "fib"
        signature = "i>i"
    .end annotation
"""
OBJECT = "Ljava/lang/Object;"
STRINGS = "Ljava/lang/String;" * 3


def binding(module: str = NAMED, *, marked: bool = True, seam: str = "local") -> str:
    """Return the class that `lawow pack` makes for a module, as javac and d8 compile it."""
    body = f"""
    const-string v0, "{module}"
    const-string v1, "fib"
    const-string v2, "i>i"
    const/4 v3, 0x1
    new-array v3, v3, [{OBJECT}
    invoke-static {{p0}}, Ljava/lang/Integer;->valueOf(I)Ljava/lang/Integer;
    move-result-object v4
    const/4 v5, 0x0
    aput-object v4, v3, v5
    invoke-static {{v0, v1, v2, v3}}, Ldev/lawow/Lawow;->{seam}({STRINGS}[{OBJECT}){OBJECT}
    move-result-object v0
    check-cast v0, Ljava/lang/Integer;
    invoke-virtual {{v0}}, Ljava/lang/Integer;->intValue()I
    move-result v0
    return v0"""
    method = smali_method("fib", "(I)I", (ON_METHOD if marked else "") + body)
    extra = ON_CLASS.replace(NAMED, module) if marked else ""
    return smali_class("org.healthy.FibonacciWasm", method, extra=extra)


def runtime(*abis: str) -> dict[str, bytes]:
    """Return the real glue and a stand-in for the runtime, which exports the version's mark."""
    return {
        f"lib/{abi}/{name}": data
        for abi in abis
        for name, data in (
            ("liblawow.so", android_stub("prebuilt", abi, "liblawow.so").read_bytes()),
            ("libwasmtime.so", shared_library(abi)),
        )
    }


def packed(*classes: str, **changes: object) -> Sample:
    """Return the healthy app with everything of `lawow pack`; one dex file holds the app, one the library."""
    sample = HEALTHY.but(min_sdk=29, dexes=((MAIN, *(classes or (binding(),))),))
    return sample.plus({"classes2.dex": STUB, MODULE: FIB, **runtime(*TARGETS)}).but(**changes)


def without(sample: Sample, *names: str) -> Sample:
    """Return the app without some entries."""
    return sample.but(entries={name: data for name, data in sample.entries.items() if name not in names})


def test_a_packed_app_is_healthy() -> None:
    assert findings(packed()) == ()


def test_nothing_is_said_of_an_app_without_lawow() -> None:
    other = HEALTHY.plus({"assets/other.wasm": b"no module", "assets/x.cwasm": b"nor this"})
    assert findings(other) == ()


def test_a_renamed_library_fails_and_is_not_found() -> None:
    """What R8 leaves without the keep rules: classes of other names, here none."""
    found = {item.kind: item.severity for item in findings(without(packed(), "classes2.dex"))}
    assert found == {"lawow-native-renamed": Severity.ERROR, "lawow-renamed": Severity.WARNING}
    native = smali_class("dev.lawow.Native")
    half = without(packed(binding(), native), "classes2.dex")
    assert only(half, "lawow-renamed").severity is Severity.WARNING


def test_a_binding_without_its_annotation_cannot_be_split() -> None:
    found = only(packed(binding(marked=False)), "binding-unmarked")
    assert (found.place, found.severity) == ("classes.dex: org.healthy.FibonacciWasm", Severity.WARNING)


def test_a_module_that_is_missing_and_one_of_another_build() -> None:
    assert only(without(packed(), MODULE), "module-missing").severity is Severity.ERROR
    found = only(packed().plus({MODULE: FIB + b"\0\2\1x"}), "module-mismatch")
    assert (found.place, found.severity) == (MODULE, Severity.ERROR)
    assert hashlib.sha256(FIB).hexdigest() in found.found


def test_a_module_that_nobody_calls_is_told() -> None:
    assert only(packed().plus({"assets/lawow/matrix.wasm": FIB}), "module-unused").severity is Severity.NOTE


def test_each_abi_needs_both_halves_of_the_runtime() -> None:
    whole = packed()
    assert only(without(whole, "lib/x86_64/libwasmtime.so"), "runtime-half").place == "lib/x86_64"
    neither = without(whole, "lib/arm64-v8a/libwasmtime.so", "lib/arm64-v8a/liblawow.so")
    found = only(neither, "runtime-missing")
    assert (found.place, found.severity) == ("lib/arm64-v8a", Severity.ERROR)
    assert kinds(without(whole, "lib/x86_64/libwasmtime.so", "lib/x86_64/liblawow.so")) == set()
    none = without(neither, "lib/x86_64/libwasmtime.so", "lib/x86_64/liblawow.so")
    assert kinds(none) == {"runtime-missing"}


def test_native_code_needs_no_runtime_but_its_library() -> None:
    runtimes = (f"lib/{abi}/lib{name}.so" for abi in TARGETS for name in ("lawow", "wasmtime"))
    glue = {
        f"lib/{abi}/liblawownative.so": android_stub("prebuilt", abi, "liblawownative.so").read_bytes()
        for abi in TARGETS
    }
    assert kinds(without(packed(min_sdk=24), *runtimes).plus(glue)) == {"native-module-missing"}


def test_the_runtime_in_java_needs_no_library_but_its_modules() -> None:
    """Only the class that leads to it makes the difference, not that the stub library names it."""
    bare = without(
        packed(), *(f"lib/{abi}/lib{name}.so" for abi in TARGETS for name in ("lawow", "wasmtime"))
    )
    assert kinds(bare) == {"runtime-missing"}
    in_java = bare.plus({"classes3.dex": android_stub("prebuilt", "lawow-endive.dex").read_bytes()})
    assert kinds(in_java) == set()
    assert kinds(without(in_java, MODULE)) == {"module-missing"}


def test_an_abi_of_the_apps_own_libraries_needs_the_runtime_too() -> None:
    more = packed().plus({"lib/armeabi-v7a/libown.so": shared_library("armeabi-v7a", page_bytes=4096)})
    found = {item.kind: item.place for item in findings(more) if item.severity is Severity.ERROR}
    assert found == {"runtime-missing": "lib/armeabi-v7a"}


def test_glue_and_runtime_are_of_one_version() -> None:
    other = shared_library("arm64-v8a").replace(VERSION_MARK.encode(), b"resolve_vmctx_memory_ptr_49_0_0")
    found = only(packed().plus({"lib/arm64-v8a/libwasmtime.so": other}), "runtime-version")
    assert found.place == "lib/arm64-v8a/libwasmtime.so"
    assert VERSION_MARK in found.found


def test_old_phones_interpret() -> None:
    assert only(packed(min_sdk=28), "runtime-interpreted").severity is Severity.NOTE


def test_a_compiled_module_is_of_the_runtimes_version() -> None:
    """Compiled by the engine itself; the same file with another version's text in it stands for another."""
    compiled = bytes(wasmtime.Module(wasmtime.Engine(), FIB).serialize())
    assert kinds(packed().plus({"assets/lawow/fibonacci.cwasm": compiled})) == set()
    older = compiled.replace(b"\x0250", b"\x0249", 1)
    found = only(packed().plus({"assets/lawow/fibonacci.cwasm": older}), "cwasm-version")
    assert "wasmtime 49, the runtime is 50" in found.found


# ---- after a split


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The packed app as `lawow refactor` leaves it: proxies call the edge, runtime and modules are gone."""
    path = tmp_path_factory.mktemp("split") / "app.apk"
    path.write_bytes(packed().build())
    lawow("refactor", path, "--debug-key", "--no-report", "--edge", "https://edge.example:8443")
    return path.with_name("app-slim.apk").read_bytes()


def test_a_split_app_has_nothing_but_its_debug_key(slim: bytes) -> None:
    assert kinds(slim) == {"debug-certificate"}


def remote(properties: str | None, **changes: object) -> Sample:
    """Return an app whose class calls the edge, which the properties name."""
    sample = HEALTHY.but(dexes=((MAIN, binding(seam="remote")),), before=INTERNET).but(**changes)
    edge = {} if properties is None else {EDGE: properties.encode()}
    return sample.plus({"classes2.dex": STUB, **edge})


def test_an_edge_needs_a_permission() -> None:
    assert kinds(remote("edge=https://edge.example:8443\n")) == set()
    found = only(remote("edge=https://edge.example:8443\n", before=""), "internet-permission")
    assert "org.healthy.FibonacciWasm" in found.found


def test_an_app_that_names_no_edge_is_told_where_it_looks() -> None:
    assert only(remote(None), "edge-address").severity is Severity.NOTE
    assert only(remote("# nothing\n"), "edge-address").severity is Severity.NOTE


def test_clear_text_is_blocked_unless_the_app_allows_it() -> None:
    plain = "edge = http\\://127.0.0.1\\:8080\n"
    assert only(remote(plain), "edge-clear-text").severity is Severity.ERROR
    assert kinds(remote(plain, application='android:usesCleartextTraffic="true"')) == set()
    assert "edge-clear-text" not in kinds(remote(plain, target_sdk=27))
    own = remote(plain, application='android:networkSecurityConfig="@android:style/Theme"')
    assert only(own, "edge-clear-text").severity is Severity.NOTE


def test_a_token_in_the_app_is_readable() -> None:
    found = only(remote("edge=https://edge.example\ntoken=secret-token\n"), "edge-token")
    assert found.severity is Severity.WARNING
    assert "secret-token" not in str(found)


def test_the_packed_demo_is_healthy_but_for_its_age_and_an_edge(demo_apk: Path) -> None:
    """With the real runtime of both ABIs, compiled by javac and dx. Its user may choose the edge."""
    found = {item.kind: item.severity for item in findings(demo_apk.read_bytes())}
    assert found.pop("target-sdk-for-play") is Severity.ERROR
    assert set(found) == {"edge-address"}


def test_native_code_needs_the_library_of_each_module_that_is_called() -> None:
    whole = without(packed(), *runtime(*TARGETS))
    digest = hashlib.sha256(FIB).hexdigest()
    source = f'const char *const module = "{digest}"; int table[3000];'
    files = {
        f"lib/{abi}/{name}": data
        for abi in TARGETS
        for name, data in (
            ("liblawownative.so", android_stub("prebuilt", abi, "liblawownative.so").read_bytes()),
            ("liblawow-fibonacci.so", shared_library(abi, source=source)),
        )
    }
    sample = whole.plus(files)
    assert findings(sample) == ()
    gone = without(sample, "lib/x86_64/liblawow-fibonacci.so")
    assert "native-module-missing" in kinds(gone)
    stale = sample.plus({"lib/x86_64/liblawow-fibonacci.so": shared_library("x86_64")})
    assert only(stale, "native-module-mismatch").place == "lib/x86_64/liblawow-fibonacci.so"
