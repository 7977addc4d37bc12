"""Apps to pack, made from nothing, and plans for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import wasmtime

import lawow.pack
from lawow.pack import PackOptions, PackPlan
from lawow.pack.apk import ApkPlan, plan_apk
from tests.refactor.builders import make_zip

__all__ = [
    "ASSET",
    "FIBONACCI",
    "GRADLE",
    "JAVA",
    "MANIFEST",
    "added",
    "app_tree",
    "pack",
    "plan_pack",
    "plan_small",
    "snapshot",
    "wat",
]

FIBONACCI = """
(module
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2))))))))
"""

JAVA = "src/main/java/com/example/app/FibonacciWasm.java"
ASSET = "src/main/assets/lawow/fibonacci.wasm"
"""Where the class and the module of `FIBONACCI` go in `app_tree`."""

MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android"{package}><application /></manifest>
"""
GRADLE = """
plugins { id 'com.android.application' }
// namespace 'not.this'
android {
    namespace 'com.example.app'
    defaultConfig { minSdk 29 }
}
"""


def plan_pack(
    app: Path,
    *,
    force: bool = False,
    check: bool = False,
    wasm: Sequence[Path] = (),
    abis: Sequence[str] = (),
    **options: object,
) -> PackPlan:
    """Plan to pack with these fields of `PackOptions`."""
    chosen = PackOptions(wasm=tuple(wasm), abis=tuple(abis), **options)  # type: ignore[arg-type]
    return lawow.pack.plan_pack(app, chosen, force=force, check=check)


def pack(app: Path, runtime_dir: Path, **options: object) -> PackPlan:
    """Pack an app, and return what was planned."""
    plan = plan_pack(app, runtime_dir=runtime_dir, **options)  # type: ignore[arg-type]
    plan.changes.apply()
    return plan


def wat(text: str) -> bytes:
    """Assemble a module."""
    return bytes(wasmtime.wat2wasm(text))


def app_tree(
    folder: Path,
    modules: dict[str, bytes] | None = None,
    *,
    gradle: str | None = GRADLE,
    script: str = "build.gradle",
    package: str = "",
) -> Path:
    """Make an app module in `folder` and return it; by default with one module, fibonacci.wasm."""
    main = folder / "src" / "main"
    (main / "wasm").mkdir(parents=True)
    attribute = f' package="{package}"' if package else ""
    (main / "AndroidManifest.xml").write_text(MANIFEST.format(package=attribute))
    if gradle is not None:
        (folder / script).write_text(gradle)
    for name, data in ({"fibonacci.wasm": wat(FIBONACCI)} if modules is None else modules).items():
        (main / "wasm" / name).write_bytes(data)
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Return the digest of every file, and an empty text for every folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }


def plan_small(
    entries: Mapping[str, bytes], module: Path, runtime_dir: Path | None, **options: object
) -> ApkPlan:
    """Plan to pack a module into an APK of these entries, with these fields of `PackOptions`."""
    fields = {"wasm": (module,), "runtime_dir": runtime_dir, **options}
    asked = PackOptions(**fields)  # type: ignore[arg-type]
    return plan_apk(make_zip(entries), "app.apk", asked)


def added(found: ApkPlan) -> dict[str, bytes]:
    """Return what a plan adds, by path."""
    return {entry.path: entry.read() for entry in found.base.added}
