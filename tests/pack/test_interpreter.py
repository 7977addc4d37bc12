"""Code for the device's interpreter beside each module: there, readable, and made for the app's limits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lawow.errors import FormatError
from lawow.execution.device_code import interpreter_file
from lawow.formats.compiled import read_compiled
from lawow.pack.options import LARGE_MODULE_BYTES
from lawow.pack.profile import Profile
from tests.conftest import lawow
from tests.pack.builders import FIBONACCI, added, app_tree, plan_pack, plan_small, wat

ASSET = "src/main/assets/lawow/fibonacci.wasm.pulley"
HEAD_BYTES = 10 + 32 + 32


def code_of(file: bytes) -> bytes:
    """Return the code in a file, whose head has to fit module and code."""
    assert file[:10] == b"LAWOWCODE1"
    assert file[10:42] == hashlib.sha256(wat(FIBONACCI)).digest()
    assert file[42:HEAD_BYTES] == hashlib.sha256(file[HEAD_BYTES:]).digest()
    return file[HEAD_BYTES:]


def test_the_command_puts_code_for_both_abis_beside_a_module(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path)
    lawow("pack", app, "--runtime-dir", runtime_dir, "--interpreter")
    code = read_compiled(code_of((app / ASSET).read_bytes()))
    assert code.target.startswith("pulley64")
    assert set(code.abis) == {"arm64-v8a", "x86_64"}
    assert lawow("pack", app, "--runtime-dir", runtime_dir, "--interpreter", "--check").returncode == 0


def large() -> bytes:
    """A module of more than 64 KiB, most of it a constant."""
    constant = '(memory (export "memory") 2) (data (i32.const 0) "' + "a" * LARGE_MODULE_BYTES + '")'
    return wat(FIBONACCI.replace("(module", f"(module {constant}", 1))


@pytest.mark.parametrize(("option", "found"), [((), {"large"}), (("--no-interpreter",), set())])
def test_only_modules_that_take_a_while_to_compile_have_it_unasked(
    tmp_path: Path, runtime_dir: Path, option: tuple[str, ...], found: set[str]
) -> None:
    """A small one would run whole calls slowly to spare milliseconds."""
    app = app_tree(tmp_path, {"small.wasm": wat(FIBONACCI), "large.wasm": large()})
    lawow("pack", app, "--runtime-dir", runtime_dir, *option)
    files = (app / ASSET).parent.glob("*.pulley")
    assert {path.name.partition(".")[0] for path in files} == found


def test_a_packed_apk_has_it_too(small: dict[str, bytes], module: Path, runtime_dir: Path) -> None:
    found = added(
        plan_small(small, module, runtime_dir, interpreted=interpreter_file, interpreted_from_bytes=0)
    )
    code_of(found["assets/lawow/fibonacci.wasm.pulley"])


@pytest.mark.parametrize("setting", ["fuel", "timeout.seconds"])
def test_limits_of_the_app_make_other_code(tmp_path: Path, runtime_dir: Path, setting: str) -> None:
    """The engine refuses code that was made for other limits."""
    app = app_tree(tmp_path)
    plain, limited = (
        plan_pack(
            app,
            runtime_dir=runtime_dir,
            profile=profile,
            interpreted=interpreter_file,
            interpreted_from_bytes=0,
        )
        for profile in (Profile(), Profile(((setting, "5"),)))
    )
    assert code_of(plain.changes.write[ASSET]) != code_of(limited.changes.write[ASSET])


@pytest.mark.parametrize(
    "options", [{"runtime": "none"}, {"profile": Profile((("engine", "native"),))}], ids=["remote", "native"]
)
def test_an_app_that_interprets_nothing_gets_none(
    tmp_path: Path, runtime_dir: Path, options: dict[str, object]
) -> None:
    folder = {} if "runtime" in options else {"runtime_dir": runtime_dir}
    plan = plan_pack(
        app_tree(tmp_path), interpreted=interpreter_file, interpreted_from_bytes=0, **folder, **options
    )
    assert ASSET not in plan.changes.write
    assert ASSET.removesuffix(".pulley") in plan.changes.write


def test_a_module_that_does_not_compile_is_named(tmp_path: Path, runtime_dir: Path) -> None:
    # Its function leaves nothing on the stack, which only a validator sees.
    broken = (
        b"\0asm\1\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x04\x01\x02\0\x0b"
    )
    app = app_tree(tmp_path, {"broken.wasm": broken})
    with pytest.raises(FormatError, match=r"broken\.wasm"):
        plan_pack(app, runtime_dir=runtime_dir, interpreted=interpreter_file, interpreted_from_bytes=0)
