"""``lawow exec`` on all kinds of input: components, commands, standard input, image layouts, folders."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lawow.build.sections import with_wit
from tests.cli.test_exec import environment
from tests.runtime.builders import FIBONACCI, wat

Run = Callable[..., subprocess.CompletedProcess[str]]

COMPONENT = """
(component
  (core module $m
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 8))))
      (i32.and (local.get $at) (i32.const -8)))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1)) (i32.const 8))
    (func (export "divide") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
    (func (export "spin") (loop (br 0)))
    (func (export "move") (param i32 f32 i32) (result i32)
      (i32.store (i32.const 32) (i32.add (local.get 0) (i32.const 1)))
      (f32.store (i32.const 36) (local.get 1)) (i32.store8 (i32.const 40) (local.get 2)) (i32.const 32)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (type $colour' (enum "red" "green"))
  (export $colour "colour" (type $colour'))
  (type $point' (record (field "x" s32) (field "weight" f32) (field "tint" $colour)))
  (export $point "point" (type $point'))
  (func (export "echo") (param "text" string) (result string)
    (canon lift (core func $i "echo") (memory $memory) (realloc $realloc)))
  (func (export "bytes") (param "data" (list u8)) (result (list u8))
    (canon lift (core func $i "echo") (memory $memory) (realloc $realloc)))
  (func (export "divide") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "divide")))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "move") (param "p" $point) (result $point)
    (canon lift (core func $i "move") (memory $memory))))
"""

COMMAND = """
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 64) (i32.const 1024)))
    ;; all arguments, each with its zero, in one piece
    (i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
    (call $exit (i32.sub (i32.load (i32.const 0)) (i32.const 1)))))
"""


@pytest.fixture
def lawow(tmp_path: Path) -> Run:
    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lawow", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


@pytest.fixture
def component(tmp_path: Path) -> str:
    (tmp_path / "c.wasm").write_bytes(wat(COMPONENT))
    return "c.wasm"


def test_a_component_is_called_with_values_of_its_types(lawow: Run, component: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00\xff")
    for arguments, printed in (
        (("echo", "plain wörds"), '"plain wörds"'),
        (("echo", r'"a\n\u{e9}"'), r'"a\né"'),
        (("bytes", "[1, 2]"), "[1, 2]"),
        (("bytes", "@data"), "[0, 255]"),
        (("divide", "7", "2"), "3"),
        (("move", "{weight: 0.1, x: -5, tint: green}"), "{x: -4, weight: 0.1, tint: green}"),
    ):
        done = lawow("exec", component, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{printed}\n", "")
    report = json.loads(lawow("exec", component, "move", "{weight: 2, x: 1, tint: red}", "--json").stdout)
    assert report["results"] == [{"x": 2, "weight": 2.0, "tint": "red"}]


def test_a_component_tells_its_interface(lawow: Run, component: str) -> None:
    text = lawow("exec", component, "--interface").stdout
    assert "record point {\n    x: s32,\n    weight: f32,\n    tint: colour,\n  }" in text
    assert "export move: func(p: point) -> point;" in text
    assert "divide: func(a: u32, b: u32) -> u32\n" in lawow("exec", component).stdout


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("divide", "1", "0"), 5, "integer divide by zero"),
        (("divide", "1", "-1"), 2, "argument b: is out of range for u32"),
        (("divide", "1"), 2, "divide takes 2 arguments (a, b), 1 given"),
        (("divid", "1", "1"), 2, "did you mean divide?"),
        (("move", "{x: 1}"), 2, "the field 'weight' is missing"),
        (("bytes", "@none"), 1, "none: no such file"),
        (("spin", "--timeout", "0.2"), 4, "deadline_seconds"),
        (("spin", "--fuel", "1000"), 4, "fuel is more than 1000"),
    ],
)
def test_what_goes_wrong_with_a_component_is_explained(
    lawow: Run, component: str, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    done = lawow("exec", component, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_component_that_imports_more_than_wasi_is_refused(lawow: Run, tmp_path: Path) -> None:
    (tmp_path / "c.wasm").write_bytes(
        wat('(component (import "host:x/y" (instance)) (core module $m (func (export "f"))) '
            '(core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))')
    )  # fmt: skip
    done = lawow("exec", "c.wasm", "f")
    assert done.returncode == 4
    assert "host:x/y" in done.stderr


def test_the_modules_in_a_component_are_scanned_before_they_are_compiled(lawow: Run, tmp_path: Path) -> None:
    inner = "(func)" * 100_001
    (tmp_path / "c.wasm").write_bytes(wat(f"(component (core module {inner}))"))
    done = lawow("exec", "c.wasm")
    assert done.returncode == 4
    assert "functions is 100001, the limit is 100000" in done.stderr


def test_a_command_gets_its_arguments_and_gives_its_status(lawow: Run, tmp_path: Path) -> None:
    (tmp_path / "cmd.wasm").write_bytes(wat(COMMAND))
    done = lawow("exec", "cmd.wasm", "_start")
    assert (done.returncode, done.stdout) == (0, "cmd.wasm\0")
    done = lawow("exec", "cmd.wasm", "_start", "one", "zwölf")
    assert (done.returncode, done.stdout) == (5, "cmd.wasm\0one\0zwölf\0")
    assert "ended itself with status 2" in done.stderr


def test_a_module_may_come_from_standard_input(lawow: Run) -> None:
    for content in (wat(FIBONACCI), FIBONACCI.encode()):
        done = lawow("exec", "-", "fib", "10", stdin=content)
        assert (done.returncode, done.stdout, done.stderr) == (0, "55\n", "")
    done = lawow("exec", "-", "fib", "10", stdin=b"hello")
    assert done.returncode == 3
    assert "standard input: is no WebAssembly module" in done.stderr


def test_a_folder_with_one_module_stands_for_it(lawow: Run, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "fib.wasm").write_bytes(wat(FIBONACCI))
    (tmp_path / "package" / "fib.wit").write_text("")
    assert lawow("exec", "package", "fib", "10").stdout == "55\n"
    (tmp_path / "package" / "other.wasm").write_bytes(wat(FIBONACCI))
    assert "found fib.wasm, other.wasm" in lawow("exec", "package", "fib", "10").stderr


def image(folder: Path, wasm: bytes, media_type: str = "application/wasm") -> None:
    """Write an OCI image layout with one layer, as the image specification describes it."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    manifest = {"schemaVersion": 2, "config": blob(b"{}", "x/y"), "layers": [blob(wasm, media_type)]}
    descriptor = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def test_an_image_layout_with_one_module_is_run(lawow: Run, tmp_path: Path) -> None:
    image(tmp_path / "image", wat(FIBONACCI))
    done = lawow("exec", "image", "fib", "10")
    assert (done.returncode, done.stdout, done.stderr) == (0, "55\n", "")


def test_an_image_layout_whose_layer_was_changed_is_refused(lawow: Run, tmp_path: Path) -> None:
    image(tmp_path / "image", wat(FIBONACCI))
    layer = tmp_path / "image" / "blobs" / "sha256" / hashlib.sha256(wat(FIBONACCI)).hexdigest()
    layer.write_bytes(wat(FIBONACCI)[:-1] + b"\0")
    done = lawow("exec", "image", "fib", "10")
    assert done.returncode == 3
    assert "does not have its digest" in done.stderr


def test_the_interface_of_a_core_module_is_printed(lawow: Run, tmp_path: Path) -> None:
    (tmp_path / "fib.wasm").write_bytes(wat(FIBONACCI))
    text = "package lawow:modules;\n\nworld fib {\n  export fib: func(p0: s32) -> s32;\n}\n"
    assert lawow("exec", "fib.wasm", "--interface").stdout == text
    (tmp_path / "fib.wit").write_text(text.replace("p0", "n"))
    assert "fib: func(n: s32)" in lawow("exec", "fib.wasm", "--interface").stdout


TYPED = """
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "count_all") (param i32 i32) (result i32) (local.get 1)))
"""


def test_a_module_that_carries_its_interface_takes_strings_without_an_option(
    lawow: Run, tmp_path: Path
) -> None:
    wit = "package a:b;\nworld w { export count-all: func(text: string) -> s32; }"
    (tmp_path / "typed.wasm").write_bytes(with_wit(wat(TYPED), wit))
    for _ in range(2):
        done = lawow("exec", "typed.wasm", "count_all", "wörds")
        assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


def test_a_listing_shows_the_interface_that_a_module_carries_and_not_its_plumbing(
    lawow: Run, tmp_path: Path
) -> None:
    wit = "package a:b;\nworld w { export count-all: func(text: string) -> s32; }"
    (tmp_path / "typed.wasm").write_bytes(with_wit(wat(TYPED), wit))
    listed = lawow("exec", "typed.wasm").stdout
    assert listed == "count_all  (i32, i32) -> i32  count-all: func(text: string) -> s32\n"
