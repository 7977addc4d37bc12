"""A release build: ProGuard, whose rules R8 takes, shrinks a packed app by the rules that pack writes."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
import wasmtime

from lawow.resources import android_stub
from tests.maven import proguard_folder
from tests.pack.builders import app_tree, plan_pack
from tests.tools import run, tool

MAIN = """
package com.example.app;
public class Main {
    static class Helper { static int twice(int n) { return 2 * FibonacciWasm.fib(n); } }
    public static void main(String[] unused) { System.out.println(Helper.twice(10)); }
}
"""


@pytest.fixture
def packed(tmp_path: Path, runtime_dir: Path) -> Path:
    """An app's tree with a class that calls a module, packed."""
    app = app_tree(tmp_path / "app")
    plan_pack(app, runtime_dir=runtime_dir).changes.apply()
    (app / "src/main/java/com/example/app/Main.java").write_text(MAIN)
    return app


def test_a_shrunk_app_still_calls_its_modules_and_keeps_the_names_that_refactor_looks_for(
    packed: Path, tmp_path: Path
) -> None:
    main = packed / "src" / "main"
    run("javac", "-nowarn", "-d", tmp_path / "classes", *(main / "java").rglob("*.java"))
    jmods = Path(tool("java")).resolve().parents[1] / "jmods" / "java.base.jmod"
    shrunk, rules = tmp_path / "app.jar", tmp_path / "rules.pro"
    rules.write_text(
        f"-injars {tmp_path / 'classes'}\n-outjars {shrunk}\n-dontwarn\n-dontnote\n-optimizationpasses 1\n"
        f"-libraryjars {jmods}(!**.jar;!module-info.class)\n-include {main / 'lawow-proguard.txt'}\n"
        "-keep class com.example.app.Main { public static void main(java.lang.String[]); }\n"
    )
    run("java", "-cp", f"{proguard_folder()}/*", "proguard.ProGuard", f"@{rules}")
    with zipfile.ZipFile(shrunk) as archive:
        names = set(archive.namelist())
    assert {"com/example/app/FibonacciWasm.class", "dev/lawow/Native.class"} <= names
    assert "com/example/app/Main$Helper.class" not in names  # it did shrink
    shown = run("javap", "-v", "-cp", shrunk, "com.example.app.FibonacciWasm").stdout
    assert "public static int fib(int)" in shown
    assert "dev.lawow.Offload(" in shown
    glue = tmp_path / "liblawow.so"
    run(sys.executable, android_stub("build.py"), "--host", glue)
    library = next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))
    options = (f"-Dlawow.library={glue}", f"-Dlawow.wasmtime={library}")
    done = run("java", *options, "-cp", f"{shrunk}:{main}", "com.example.app.Main")
    assert done.stdout == "110\n"
