"""Compiled modules: what they are for, and which may go into an app. Judged by what the compiler was told."""

from __future__ import annotations

import pytest
import wasmtime
from wasmtime import _bindings

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.compiled import CompiledCode, read_compiled, require_portable
from lawow.runtime.device_code import PULLEY, TARGETS, compile_for_app
from lawow.runtime.libwasmtime import VERSION

WASM = bytes(wasmtime.wat2wasm('(module (func (export "f") (result i32) (i32.const 7)))'))
X86_64 = "x86_64-unknown-linux-gnu"
RELEASE = VERSION.partition(".")[0]


def compiled_here(target: str, *features: str) -> bytes:
    """Compile with the wasmtime package; any build machine's processor has the features used here."""
    config = wasmtime.Config()
    config.target = target
    for name in features:
        _bindings.wasmtime_config_cranelift_flag_enable(config.ptr(), name.encode())
    return bytes(wasmtime.Module(wasmtime.Engine(config), WASM).serialize())


def test_release_target_and_features_are_those_it_was_compiled_with() -> None:
    plain = read_compiled(compiled_here(X86_64))
    assert plain == CompiledCode(RELEASE, "x86_64-unknown-linux-gnu", frozenset())
    assert plain.abis == ("x86_64",)
    more = read_compiled(compiled_here(X86_64, "has_avx2", "has_popcnt"))
    assert more.features == {"has_avx2", "has_popcnt"}
    pulley = read_compiled(compiled_here(PULLEY))
    assert (pulley.target.partition("-")[0], pulley.abis) == ("pulley64", ("x86_64", "arm64-v8a"))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            CompiledCode(RELEASE, "x86_64-unknown-linux-gnu", frozenset({"has_avx2", "has_sse42"})),
            "has_avx2,",
        ),
        (
            CompiledCode(RELEASE, "aarch64-unknown-linux-gnu", frozenset({"has_lse"})),
            "not every arm64-v8a phone",
        ),
        (CompiledCode("49", "pulley64", frozenset()), "made by wasmtime 49; the app carries"),
        (CompiledCode(RELEASE, "riscv64gc-unknown-linux-gnu", frozenset()), "made for riscv64gc"),
        (CompiledCode(RELEASE, "x86_64h-apple-darwin", frozenset()), "made for x86_64h"),
    ],
)
def test_code_that_some_phone_would_refuse_is_refused_before_it_ships(
    code: CompiledCode, sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        require_portable(code, RELEASE, "app.cwasm")
    assert str(caught.value).startswith("app.cwasm: ")
    assert sentence in str(caught.value)


def test_code_for_a_newer_processor_is_refused_and_code_for_every_phone_is_not() -> None:
    with pytest.raises(Refused, match="has_avx2"):
        require_portable(read_compiled(compiled_here(X86_64, "has_avx2")), RELEASE, "app.cwasm")
    for good in (compiled_here(X86_64, "has_sse42"), compiled_here(X86_64), compiled_here(PULLEY)):
        require_portable(read_compiled(good), RELEASE, "app.cwasm")


def test_what_is_compiled_for_an_app_names_its_target_and_no_processor() -> None:
    assert read_compiled(compile_for_app(WASM)).abis == ("x86_64", "arm64-v8a")
    assert compile_for_app(WASM) == compile_for_app(WASM, PULLEY)
    assert compile_for_app(WASM, has_fuel=True) != compile_for_app(WASM, has_deadlines=True)


def test_a_target_that_would_end_the_process_is_refused() -> None:
    """This library holds one back end besides the interpreter's; asking for another one aborts."""
    import platform

    foreign = [item for item in TARGETS if not item.startswith((PULLEY, platform.machine()))]
    assert len(foreign) == 1
    for target in (*foreign, "pulley32"):
        with pytest.raises(UsageError):
            compile_for_app(WASM, target)


def test_a_module_that_is_none_is_a_format_error() -> None:
    with pytest.raises(FormatError):
        compile_for_app(b"\0asm\1\0\0\0\x01")


def test_damaged_files_raise_format_errors_and_nothing_else() -> None:
    data = compiled_here(X86_64)
    at = data.rindex(b"\x18x86_64-unknown-linux-gnu")
    for end in (*range(0, len(data), 61), *range(at - 8, at + 400)):
        with pytest.raises(FormatError):
            read_compiled(data[:end])
    refused = 0
    for offset in range(at - 6, at + 700):
        changed = bytearray(data)
        changed[offset] ^= 0xFF
        try:
            read_compiled(bytes(changed))
        except FormatError:
            refused += 1
    assert refused > 50
    with pytest.raises(FormatError, match=r"no section \.wasmtime\.engine"):
        read_compiled(data.replace(b".wasmtime.engine", b".wasmtime.motors"))
