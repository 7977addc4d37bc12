"""The runtime that is written in Java, Endive: no native library in the app, and many times slower.

LAWOW brings the classes that lead to it; the library itself is a dependency of the app, which Gradle fetches
and turns into dex code. So only Gradle's trees can have it: its class files are of Java 11, and here is
nothing that makes dex code of those. Refused: an app for phones below `LEAST_API`, whose dex code cannot say
what the library calls.
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.errors import Refused
from lawow.pack.app_tree import AppTree
from lawow.pack.layout import GRADLE

__all__ = ["ENDIVE", "KEEP_RULES", "SETTINGS", "SLOWER", "VERSION", "java_notes", "require_gradle"]

VERSION = "1.2.0"
ENDIVE = f"run.endive:runtime:{VERSION}"
"""What Gradle resolves; it brings `run.endive:wasm` along."""
LEAST_API = 26
"""The first level whose dex code has calls like VarHandle's `get` and `set`, which the library makes."""
MIN_API = 28
"""The floor of Chicory, which Endive goes on with (its pull request 764); not checked of Endive itself."""
SLOWER = "220 to 330 times slower than wasmtime's native code"
"""docs/PERFORMANCE.md, "The runtime inside an app", has the measurement."""
SETTINGS = b"# Made by lawow pack.\nlocal=java\n"

KEEP_RULES = """\
# Endive, which interprets the modules. Its fast memory is not used.
-keep class run.endive.** { *; }
-dontwarn java.lang.invoke.VarHandle
-dontwarn java.lang.invoke.VarHandle$AccessMode
"""


def require_gradle(tree: AppTree) -> None:
    """Raise `Refused` for an app that cannot have the library."""
    if tree.layout is not GRADLE:
        raise Refused(
            f"{tree.folder}: is no Gradle module; --runtime java needs Gradle, which fetches {ENDIVE} and"
            " makes dex code of it; take wasmtime here (--runtime wasmtime)"
        )
    if tree.min_sdk is not None and tree.min_sdk < LEAST_API:
        raise Refused(
            f"{tree.folder}: minSdk is {tree.min_sdk}; {ENDIVE} calls VarHandle, for which dex code has no"
            f" instruction below {LEAST_API}; raise minSdk to {MIN_API}"
        )


def java_notes(tree: AppTree) -> Iterator[str]:
    """Yield what the user has to do, and what to expect."""
    yield f"modules are interpreted by Java code, {SLOWER} (measured on a desktop JVM, not on a phone)"
    if tree.min_sdk is not None and tree.min_sdk < MIN_API:
        yield f"minSdk is {tree.min_sdk}; {MIN_API} is the floor of Chicory, which Endive goes on with"
    if not tree.mentions(ENDIVE):
        script = tree.script_name or tree.layout.usual_script
        yield f"add to the dependencies in {script}: {_dependency(script)}"


def _dependency(script: str) -> str:
    return f'implementation("{ENDIVE}")' if script.endswith(".kts") else f"implementation '{ENDIVE}'"
