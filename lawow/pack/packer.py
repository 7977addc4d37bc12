"""`lawow pack`: everything that an Android app needs to run WebAssembly, as files in its source tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.errors import UsageError
from lawow.pack.bindings import Binding, java_source
from lawow.pack.gradle import GradleModule, read_gradle_module
from lawow.pack.libraries import MIN_API, AbiLibraries, abi_libraries
from lawow.pack.modules import find_modules, read_bindings
from lawow.pack.runtimes import ABIS, runtime_licence
from lawow.pack.tree import Changes, plan_changes
from lawow.resources import android_stub

__all__ = ["PackPlan", "plan_pack"]

ASSETS = "src/main/assets/lawow"
JAVA = "src/main/java"
GLUE_SOURCES = "src/main/lawow/cpp"
KEEP_RULES = "src/main/lawow-proguard.txt"
_FIRST_NATIVE_API = 29

_KEEP_RULES_TEXT = """\
# Made by lawow pack. Without these rules a release build renames or inlines what `lawow refactor` looks for.
-keepattributes RuntimeInvisibleAnnotations
-keep class dev.lawow.** { *; }
-keep @dev.lawow.Offload class * { public static *; }
"""


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What `lawow pack` does to one app: its classes, its libraries, the changes, and what the user should
    know."""

    package: str
    bindings: tuple[Binding, ...]
    abis: tuple[AbiLibraries, ...]
    changes: Changes
    notes: tuple[str, ...]


def plan_pack(
    app: Path,
    *,
    wasm: Sequence[Path] = (),
    package: str | None = None,
    abis: Sequence[str] = (),
    runtime_dir: Path | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> PackPlan:
    """Plan to pack modules and a runtime into the Gradle module `app`; nothing is written yet.

    `tell` hears of downloads, which take a while. Takes the modules of ``src/main/wasm`` unless `wasm` names
    others, and all of `ABIS` unless `abis` does. Raises `UsageError`, `FormatError`, `LimitExceeded` and
    `Refused` with the file that is the reason, `HostLost` if the runtime has to be fetched and cannot be.
    """
    module = read_gradle_module(app, package)
    bindings = read_bindings(find_modules(app, wasm))
    libraries = [abi_libraries(abi, runtime_dir, tell) for abi in _require_abis(abis)]
    files = _files(module, bindings, libraries)
    return PackPlan(
        package=module.package,
        bindings=tuple(bindings),
        abis=tuple(libraries),
        changes=plan_changes(app, files, force=force),
        notes=tuple(_notes(module, bindings, libraries)),
    )


def _require_abis(abis: Sequence[str]) -> list[str]:
    for abi in abis:
        if abi not in ABIS:
            raise UsageError(f"there is no WebAssembly runtime for {abi}; there is one for {', '.join(ABIS)}")
    return [abi for abi in ABIS if not abis or abi in abis]


def _files(
    module: GradleModule, bindings: Sequence[Binding], libraries: Sequence[AbiLibraries]
) -> dict[str, bytes]:
    """Return every file of the plan by its path in the app's module."""
    package_folder = f"{JAVA}/{module.package.replace('.', '/')}"
    files: dict[str, bytes] = {}
    for binding in bindings:
        files[f"{ASSETS}/{binding.module.file}"] = binding.module.data
        source = java_source(binding, module.package)
        files[f"{package_folder}/{binding.class_name}.java"] = source.encode()
    for item in libraries:
        files |= {f"{item.folder}/{name}": data for name, data in item.files.items()}
    files |= _copies(android_stub("java"), "**/*.java", JAVA)
    files |= _copies(android_stub("jni"), "*", GLUE_SOURCES)
    files[KEEP_RULES] = _KEEP_RULES_TEXT.encode()
    files[f"{ASSETS}/licenses/wasmtime-LICENSE"] = runtime_licence()
    files[f"{ASSETS}/licenses/lawow-LICENSE"] = android_stub("LICENSE").read_bytes()
    return files


def _copies(folder: Path, pattern: str, target: str) -> dict[str, bytes]:
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    return {f"{target}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in found}


def _notes(module: GradleModule, bindings: Sequence[Binding], libraries: Sequence[AbiLibraries]) -> list[str]:
    """Return what the user has to do or should know, each as one sentence."""
    notes = [f"{item.module.file}: no method for {name}" for item in bindings for name in item.left_out]
    notes += [f"{item.abi} goes into debug builds only: {item.reason}" for item in libraries if item.reason]
    notes += _sdk_notes(module, libraries)
    notes += _missing_abi_notes(module, {item.abi for item in libraries})
    if not module.mentions(Path(KEEP_RULES).name):
        path = f'("{KEEP_RULES}")' if module.is_kotlin else f" '{KEEP_RULES}'"
        script = module.script_name or "build.gradle"
        notes.append(f"for release builds with R8 or ProGuard, add to {script}: proguardFiles{path}")
    return notes


def _sdk_notes(module: GradleModule, libraries: Sequence[AbiLibraries]) -> list[str]:
    minimum = module.min_sdk
    if minimum is None or minimum >= _FIRST_NATIVE_API:
        return []
    if minimum < MIN_API:
        native = f"runs native code from {_FIRST_NATIVE_API} on"
        return [f"minSdk is {minimum}; the runtime needs {MIN_API}, and {native}"]
    return [f"minSdk is {minimum}; below {_FIRST_NATIVE_API} modules are interpreted, about 12 times slower"]


def _missing_abi_notes(module: GradleModule, packed: set[str]) -> list[str]:
    """Warn where a new ABI would make Android leave out the app's own libraries, which lack that ABI."""
    by_abi: dict[str, set[str]] = {}
    for path in (module.folder / "src" / "main" / "jniLibs").glob("*/*.so"):
        by_abi.setdefault(path.parent.name, set()).add(path.name)
    names = {name for abi, found in by_abi.items() if abi not in packed for name in found}
    return [
        f"{name} is missing for {abi}: a phone of that ABI will load the app's {abi} libraries only"
        for name in sorted(names)
        for abi in sorted(packed)
        if name not in by_abi.get(abi, set())
    ]
