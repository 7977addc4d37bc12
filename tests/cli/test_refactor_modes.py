"""`lawow refactor --mode elastic` as a user meets it."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from lawow.formats.dex.reader import read_dex
from tests.conftest import lawow
from tests.refactor.builders import FIB, MAIN, REAL_FIB, smali_class
from tests.refactor.conftest import BuildApp, app_apk, build_app  # noqa: F401  # fixtures

ELASTIC = smali_class("com.example.app.FibonacciWasm", REAL_FIB)


def test_an_elastic_app_keeps_originals_and_modules_and_says_so(
    build_app: BuildApp,  # noqa: F811
    tmp_path: Path,
) -> None:
    app = tmp_path / "app.apk"
    app.write_bytes(build_app([ELASTIC, MAIN]))
    done = lawow("refactor", app, "--debug-key", "--mode", "elastic")
    assert "note      --mode elastic: originals, modules and runtime stay" in done.stdout
    assert "kept      assets/fibonacci.wasm: the app is elastic" in done.stdout
    with zipfile.ZipFile(tmp_path / "app-slim.apk") as archive:
        assert archive.read("assets/fibonacci.wasm") == FIB
        properties = archive.read("assets/lawow/edge.properties").decode()
        view = read_dex(archive.read("classes2.dex")).class_def("Lcom/example/app/FibonacciWasm;")
    assert "mode=auto\n" in properties
    assert f"pure={hashlib.sha256(FIB).hexdigest()}\n" in properties
    assert {method.name for method in view.methods} == {"fib", "fib$local"}
    planned = lawow("refactor", app, "--mode", "elastic", "--plan", "--json").stdout
    assert '"kept"' in planned
    assert '"removed"' not in planned


def test_a_native_method_has_no_elastic_proxy(app_apk: Path, tmp_path: Path) -> None:  # noqa: F811
    done = lawow("refactor", app_apk, "--debug-key", "--mode", "elastic", "--out", tmp_path, check=False)
    assert done.returncode == 4
    assert "FibonacciWasm.fib(I)I is native: beside a proxy it would need another name" in done.stderr
