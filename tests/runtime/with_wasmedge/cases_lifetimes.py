"""What WasmEdge's library gave is freed once; what it must not load is refused."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LocalProtocolError,
    Refused,
)
from lawow.formats.wasm_edit import custom_section
from lawow.runtime import libwasmedge, wasmedge
from lawow.runtime.wasmedge_library import LibraryEngine
from tests.runtime.builders import FIBONACCI, wat
from tests.runtime.test_grants import host
from tests.runtime.test_wasi import guest
from tests.runtime.with_wasmedge.helpers import COUNTER, hosted


def test_1000_instances_leave_nothing_behind(engine: LibraryEngine) -> None:
    plain, speaking = (
        engine.compile(wat(COUNTER)),
        engine.compile(guest("(call $say (i32.const 1) (i32.const 5))")),
    )
    host_module = hosted(engine)

    def use(turns: int) -> None:
        for turn in range(turns):
            with plain.instantiate() as instance:
                instance.call("add", (turn,))
                instance.write_memory(0, bytes(65536))
            if turn % 20 == 0:
                with speaking.instantiate() as instance:
                    instance.call("f")
                with host_module.instantiate(grants=host()) as instance:
                    instance.call("name", (0, 1))

    use(200)
    before = footprint()
    use(1000)
    after = footprint()
    assert after[1:] == before[1:]
    assert after[0] - before[0] < 8 << 20  # bytes; the memories alone would be 62 MiB


def footprint() -> tuple[int, int, int]:
    """Return this process's resident bytes, descriptors and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_closing_twice_and_in_any_order_frees_once(engine: LibraryEngine) -> None:
    own = LibraryEngine(is_compiled=engine.is_compiled)
    module = own.compile(guest("(call $say (i32.const 1) (i32.const 5))"))
    instance = module.instantiate()
    own.close()
    module.close()
    module.close()
    assert instance.call("f") == (0,)
    instance.close()
    instance.close()
    with pytest.raises(LocalProtocolError):
        instance.call("f")
    with pytest.raises(LocalProtocolError):
        instance.read_memory(0, 1)
    with pytest.raises(LocalProtocolError):
        _ = instance.memory_bytes


def test_an_instance_that_cannot_be_made_frees_what_it_had(engine: LibraryEngine) -> None:
    for text, code in (
        ("(module (func $f unreachable) (start $f))", "unreachable"),
        ('(module (memory 1) (data (i32.const 65535) "ab"))', "memory-out-of-bounds"),
    ):
        module = engine.compile(wat(text))
        for _ in range(3):
            with pytest.raises(GuestTrap) as caught:
                module.instantiate()
            assert caught.value.code == code


def test_compiled_code_is_loaded_from_a_file(engine: LibraryEngine, tmp_path: Path) -> None:
    module = engine.compile(wat(FIBONACCI))
    kept = tmp_path / "kept.cwasm"
    kept.write_bytes(module.serialize())
    loaded = engine.load(str(kept))
    assert list(module.exports) == list(loaded.exports) == ["fib"]
    assert loaded.instantiate().call("fib", (10,)) == (55,)
    kept.write_bytes(wat(FIBONACCI) + custom_section("lawow.native", b"no shared object"))
    with pytest.raises(FormatError):
        engine.load(str(kept))


@pytest.mark.parametrize("section", ["lawow.native", "wasmedge"])
def test_machine_code_that_a_guest_brings_is_never_run(engine: LibraryEngine, section: str) -> None:
    other = LibraryEngine().compile(wat('(module (func (export "f") (result i32) i32.const 2))'))
    assert other.machine_code is not None
    with pytest.raises(Refused, match="machine code"):
        engine.compile(wat(FIBONACCI) + custom_section(section, other.machine_code))


@pytest.mark.parametrize(
    "wasm",
    [
        wat('(module (func (export "f") (result i32) i32.const 1))')[:-4] + b"\x41\x01\x6a\x0b",
        wat('(module (memory i64 1) (func (export "f")))'),
        wat('(module (tag $t) (func (export "f") (throw $t)))'),
        b"\0asm\x0d\0\1\0",
        b"\0asm",
        b"",
    ],
)
def test_what_wasmedge_does_not_take_is_a_format_error(engine: LibraryEngine, wasm: bytes) -> None:
    with pytest.raises(FormatError):
        engine.compile(wasm)


def test_another_release_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libwasmedge, "RELEASE", "0.99.0")
    monkeypatch.setattr(libwasmedge, "_loaded", [])
    with pytest.raises(LawowError, match=r"is WasmEdge 0\.14\.1; LAWOW knows the layouts of 0\.99\.0"):
        LibraryEngine()


def test_the_library_is_preferred_unless_a_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAWOW_WASMEDGE", raising=False)
    assert isinstance(wasmedge.find_wasmedge(), LibraryEngine)
    monkeypatch.setenv("LAWOW_WASMEDGE", "/nowhere/wasmedge")
    with pytest.raises(LawowError, match="does not run"):
        wasmedge.find_wasmedge()
    monkeypatch.setenv("LAWOW_WASMEDGE_LIBRARY", libwasmedge.library().path)
    assert isinstance(wasmedge.find_wasmedge(), LibraryEngine)
