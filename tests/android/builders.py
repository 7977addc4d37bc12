"""Modules for the tests of the Android side, and the JVM that calls them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import wasmtime

from tests.tools import run

__all__ = ["CALLS", "HOST", "WASI", "Jvm", "Sample", "sample"]

CALLS = """
(module
  (memory (export "memory") 1)
  (global $state (mut i32) (i32.const 0))
  (func $fib (export "fib") (param i64) (result i64)
    (if (result i64) (i64.lt_s (local.get 0) (i64.const 2)) (then (local.get 0))
      (else (i64.add (call $fib (i64.sub (local.get 0) (i64.const 1)))
                     (call $fib (i64.sub (local.get 0) (i64.const 2)))))))
  (func (export "mix") (param i32 i64 f32 f64) (result f64)
    (f64.add (f64.add (f64.convert_i32_s (local.get 0)) (f64.convert_i64_s (local.get 1)))
             (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))))
  (func (export "swap") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0))
  (func (export "echo_i") (param i32) (result i32) (local.get 0))
  (func (export "echo_I") (param i64) (result i64) (local.get 0))
  (func (export "echo_f") (param f32) (result f32) (local.get 0))
  (func (export "echo_F") (param f64) (result f64) (local.get 0))
  (func (export "nothing"))
  (func (export "count") (result i32)
    (global.set $state (i32.add (global.get $state) (i32.const 1))) (global.get $state))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "unreach") unreachable)
  (func $recurse (export "recurse") (param i64) (result i64)
    (i64.add (i64.const 1) (call $recurse (i64.add (local.get 0) (i64.const 1)))))
  (func (export "spin") (loop $l (br $l)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (type $v (func))
  (type $i (func (param i32)))
  (table 2 funcref)
  (elem (i32.const 0) $one)
  (func $one (type $i))
  (func (export "indirect") (param i32) (call_indirect (type $v) (local.get 0))))
"""

WASI = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (data (i32.const 16) "hello from wasi\\n")
  (data (i32.const 0) "\\10\\00\\00\\00\\10\\00\\00\\00")
  (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
  (func (export "ready") (result i32) (global.get $ready))
  (func (export "hello") (param $times i32)
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if $again (i32.gt_s (local.get $times) (i32.const 0)))))
  (func (export "open") (param $folder i32) (result i32)
    (call $open (local.get $folder) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0)
      (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64)))
  (func (export "leave") (param i32) (call $exit (local.get 0))))
"""


HOST = """
(module
  (import "env" "log" (func $log (param i32 i32)))
  (import "env" "mix" (func $mix (param i32 i64 f32 f64) (result f64)))
  (import "env" "swap" (func $swap (param i32 i64) (result i64 i32)))
  (import "env" "act" (func $act (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "na\\c3\\afve")
  (start $start)
  (func $start (call $log (i32.const 16) (i32.const 6)))
  (func (export "log_at") (param i32 i32) (call $log (local.get 0) (local.get 1)))
  (func (export "mix") (param i32 i64 f32 f64) (result f64)
    (call $mix (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "swap") (param i32 i64) (result i64 i32) (call $swap (local.get 0) (local.get 1)))
  (func (export "act") (param i32) (result i32) (call $act (local.get 0)))
  (func (export "act_often") (param i32)
    (loop $again
      (drop (call $act (local.get 0)))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if $again (local.get 0))))
  (func (export "act_forever") (param i32) (loop $again (drop (call $act (local.get 0))) (br $again)))
  (func (export "spin") (param i32) (result i32) (loop $again (br $again)) (i32.const 0))
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A module: its bytes, and the name by which generated classes know it."""

    file: str
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        return f"{self.file}@{self.digest}"


def sample(file: str, text: str) -> Sample:
    """Assemble a module from the text format."""
    return Sample(file, bytes(wasmtime.wat2wasm(text)))


@dataclass(frozen=True, slots=True)
class Jvm:
    """A JVM with the stub library, the test's classes and a folder of resources on its class path."""

    class_path: tuple[Path, ...]
    properties: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ("-Xcheck:jni", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    launcher: tuple[str | Path, ...] = ("java",)

    def with_properties(self, **values: object) -> Jvm:
        """Return a JVM with more properties ``lawow.*``; ``_`` stands for the dot."""
        more = tuple((f"lawow.{key.replace('_', '.')}", str(value)) for key, value in values.items())
        return replace(self, properties=(*self.properties, *more))

    def with_classes(self, *folders: Path, first: bool = False) -> Jvm:
        """Return a JVM with more on its class path, behind or before what is there."""
        path = (*folders, *self.class_path) if first else (*self.class_path, *folders)
        return replace(self, class_path=path)

    def run(self, main: str, *arguments: str, stdin: str = "") -> str:
        """Run a main class and return its output. The JVM's own warnings about JNI are failures."""
        path = ":".join(str(item) for item in self.class_path)
        properties = [f"-D{key}={value}" for key, value in self.properties]
        done = run(*self.launcher, *self.options, *properties, "-cp", path, main, *arguments, stdin=stdin)
        assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def started(
        self, main: str, *arguments: str, options: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a main class beside the test, which talks to it by lines."""
        path = ":".join(str(item) for item in self.class_path)
        properties = [f"-D{key}={value}" for key, value in self.properties]
        words = [*self.launcher, *self.options, *options, *properties, "-cp", path, main, *arguments]
        process = subprocess.Popen(
            list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def calls(self, *lines: Sequence[object]) -> list[str]:
        """Make calls through `Driver`, in one process: (place, module, export, signature, values...)."""
        text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
        answers = self.run("Driver", stdin=text).splitlines()
        assert len(answers) == len(lines), answers
        return answers
