"""`lawow pack`: everything that an Android app needs to run WebAssembly, as files in its source tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.errors import FormatError
from lawow.formats.apk import INTERNET
from lawow.pack.app_tree import AppTree, read_app_tree
from lawow.pack.bindings import Binding, java_source
from lawow.pack.java_engine import KEEP_RULES, java_notes, require_gradle
from lawow.pack.java_engine import SETTINGS as JAVA_SETTINGS
from lawow.pack.libraries import (
    GLUE,
    NATIVE_GLUE,
    AbiLibraries,
    abi_libraries,
    chosen_abis,
    native_libraries,
    sdk_notes,
    tier_of,
)
from lawow.pack.modules import find_modules, read_bindings
from lawow.pack.options import PackOptions
from lawow.pack.runtimes import LIBRARY, runtime_licence
from lawow.pack.tree import Changes, compare_tree, plan_changes
from lawow.pack.wasmedge import LIBRARY as WASMEDGE
from lawow.resources import android_stub

__all__ = ["PackPlan", "common_assets", "method_notes", "module_assets", "plan_pack"]

SETTINGS = "edge.properties"
NATIVE_NOTES = (
    "native code has no sandbox: a division by zero or an access out of bounds ends the app or damages its"
    " memory, and nothing limits time or memory of a call; on the edge the same call is limited and traps",
)

WASMEDGE_NOTES = (
    "WasmEdge is your own build: add its licence to the app, and follow its advisories; modules are"
    " interpreted",
)

_KEEP_RULES_TEXT = """\
# Made by lawow pack. Without these rules a release build renames or inlines what `lawow refactor` looks for.
-keepattributes RuntimeInvisibleAnnotations
-keep class dev.lawow.** { *; }
-keep @dev.lawow.Offload class * { public static *; }
"""


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What `lawow pack` does to one app: its classes, its libraries, the changes, and what the user should
    know. `folders` are where the libraries of each ABI go, `tier` is how modules run on the device,
    `uncovered` are ABIs of the app's own libraries that get no runtime and need one.
    """

    package: str
    bindings: tuple[Binding, ...]
    abis: tuple[AbiLibraries, ...]
    folders: tuple[str, ...]
    tier: str
    uncovered: tuple[str, ...]
    changes: Changes
    notes: tuple[str, ...]


def plan_pack(
    app: Path,
    options: PackOptions,
    *,
    force: bool = False,
    check: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> PackPlan:
    """Plan to pack modules and a runtime into the source tree `app`; nothing is written yet.

    `tell` hears of downloads, which take a while. With `check` nothing is in the way: the changes are for
    looking at, not for applying. Raises `UsageError`, `FormatError`, `LimitExceeded` and `Refused` with the
    file that is the reason, `HostLost` if the runtime has to be fetched and cannot be.
    """
    tree = read_app_tree(app, options.package)
    if options.is_java:
        require_gradle(tree)
    bindings = read_bindings(find_modules(app / tree.layout.wasm, options), options)
    abis = [] if options.is_remote or options.is_java else chosen_abis(options)
    libraries = [
        native_libraries(bindings, abi) if options.is_native else abi_libraries(options, abi, tell)
        for abi in abis
    ]
    files = _files(tree, bindings, libraries, options)
    own = _own_libraries(tree)
    return PackPlan(
        package=tree.package,
        bindings=tuple(bindings),
        abis=tuple(libraries),
        folders=tuple(_folder(tree, item) for item in libraries),
        tier=tier_of(tree.min_sdk, options),
        uncovered=() if options.is_java else tuple(sorted(own.keys() - set(abis))),
        changes=compare_tree(app, files) if check else plan_changes(app, files, force=force),
        notes=tuple(_notes(tree, bindings, libraries, options)),
    )


def _folder(tree: AppTree, item: AbiLibraries) -> str:
    return tree.layout.library_folder(item.abi, debug_only=bool(item.reason))


def _files(
    tree: AppTree, bindings: Sequence[Binding], libraries: Sequence[AbiLibraries], options: PackOptions
) -> dict[str, bytes]:
    """Return every file of the plan by its path in the app's folder."""
    layout = tree.layout
    package_folder = f"{layout.java}/{tree.package.replace('.', '/')}"
    files: dict[str, bytes] = {}
    for binding in bindings:
        files |= {f"{layout.assets}/{name}": data for name, data in module_assets(binding, options).items()}
        source = java_source(binding, tree.package, options.seam)
        files[f"{package_folder}/{binding.class_name}.java"] = source.encode()
    for item in libraries:
        files |= {f"{_folder(tree, item)}/{name}": data for name, data in item.files.items()}
    files |= _copies(android_stub("java"), "**/*.java", layout.java)
    if options.is_java:
        files |= _copies(android_stub("endive"), "**/*.java", layout.java)
    if libraries and not options.is_native:
        files |= _copies(android_stub("jni"), "*", layout.glue_sources)
    files[layout.keep_rules] = (_KEEP_RULES_TEXT + (KEEP_RULES if options.is_java else "")).encode()
    files |= {f"{layout.assets}/{name}": data for name, data in common_assets(options).items()}
    return files


def module_assets(binding: Binding, options: PackOptions) -> dict[str, bytes]:
    """Return a module, and code for the interpreter beside it, by their names in ``assets/lawow``."""
    module = binding.module
    files = {module.file: module.data}
    settings = dict(options.profile.settings)
    if options.is_wasmedge and options.prepared is not None:
        try:
            return files | {f"{module.file}.pulley": options.prepared(module.data)}
        except FormatError as error:
            raise error.within(module.file) from None
    is_compiled = not (options.is_remote or options.is_native or options.is_java)
    is_wanted = is_compiled and settings.get("engine") != "native"
    if options.interpreted is None or not is_wanted or len(module.data) < options.interpreted_from_bytes:
        return files
    try:
        code = options.interpreted(
            module.data, has_fuel="fuel" in settings, has_deadlines="timeout.seconds" in settings
        )
    except FormatError as error:
        raise error.within(module.file) from None
    return files | {f"{module.file}.pulley": code}


def common_assets(options: PackOptions) -> dict[str, bytes]:
    """Return what lies beside the modules, by its path below ``assets/lawow``: licences, and the settings."""
    files = {"licenses/lawow-LICENSE": android_stub("LICENSE").read_bytes()}
    if options.is_native:
        files["local.properties"] = b"# Made by lawow pack.\nlocal=native\n"
    elif options.is_java:
        files["local.properties"] = JAVA_SETTINGS
    elif options.is_wasmedge:
        files["local.properties"] = b"# Made by lawow pack.\nengine=pulley\n"  # nothing is there to compile
    elif not options.is_remote:
        files["licenses/wasmtime-LICENSE"] = runtime_licence()
    if options.profile.settings:
        files[SETTINGS] = options.profile.to_bytes()
    return files


def _copies(folder: Path, pattern: str, target: str) -> dict[str, bytes]:
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    return {f"{target}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in found}


def _notes(
    tree: AppTree, bindings: Sequence[Binding], libraries: Sequence[AbiLibraries], options: PackOptions
) -> list[str]:
    """Return what the user has to do or should know, each as one sentence."""
    notes = method_notes(bindings)
    notes += [f"{item.abi} goes into debug builds only: {item.reason}" for item in libraries if item.reason]
    has_wasmtime = libraries and not options.is_native and not options.is_wasmedge
    notes += sdk_notes(tree.min_sdk) if has_wasmtime else []
    notes += WASMEDGE_NOTES if options.is_wasmedge else []
    notes += NATIVE_NOTES if options.is_native else []
    notes += java_notes(tree) if options.is_java else []
    notes += _missing_abi_notes(tree, {item.abi for item in libraries})
    notes += _filter_notes(tree, [item.abi for item in libraries])
    layout = tree.layout
    notes += _edge_notes(tree) if options.is_remote else []
    if not tree.mentions(Path(layout.keep_rules).name):
        script = tree.script_name or layout.usual_script
        notes.append(f"for release builds with R8 or ProGuard, add to {script}: {layout.rule_line(script)}")
    return notes


def _filter_notes(tree: AppTree, packed: Sequence[str]) -> list[str]:
    """Tell of ABIs that the build script leaves out of the app, so that they are packed in vain."""
    left_out = [abi for abi in packed if abi not in tree.built_abis] if tree.built_abis else []
    kept = [f"--abi {abi}" for abi in packed if abi not in left_out]
    way = f"give {' '.join(kept)}" if kept else "add one of them to abiFilters"
    return [f"{tree.script_name} leaves {' and '.join(left_out)} out (abiFilters); {way}"] if left_out else []


def _edge_notes(tree: AppTree) -> list[str]:
    """Return what an app still lacks to call the edge."""
    settings = f"{tree.layout.assets}/{SETTINGS}"
    notes = []
    if INTERNET not in tree.permissions:
        notes.append(f"calls go to the edge: {tree.layout.manifest} has to ask for {INTERNET}")
    if not (tree.folder / settings).is_file():
        notes.append(f"calls go to the edge: say where it is in {settings}, edge=https://HOST:PORT")
    return notes


def method_notes(bindings: Sequence[Binding]) -> list[str]:
    """Return which exports have no method, and why."""
    return [f"{item.module.file}: no method for {name}" for item in bindings for name in item.left_out]


def _own_libraries(tree: AppTree) -> dict[str, set[str]]:
    """Return the names of the app's own libraries by ABI."""
    ours = {GLUE, LIBRARY, WASMEDGE, NATIVE_GLUE}
    by_abi: dict[str, set[str]] = {}
    for path in tree.folder.glob(tree.layout.own_libraries):
        if path.name not in ours and not path.name.startswith("liblawow-"):
            by_abi.setdefault(path.parent.name, set()).add(path.name)
    return by_abi


def _missing_abi_notes(tree: AppTree, packed: set[str]) -> list[str]:
    """Warn where a new ABI would make Android leave out the app's own libraries, which lack that ABI."""
    by_abi = _own_libraries(tree)
    names = {name for abi, found in by_abi.items() if abi not in packed for name in found}
    return [
        f"{name} is missing for {abi}: a phone of that ABI will load the app's {abi} libraries only"
        for name in sorted(names)
        for abi in sorted(packed)
        if name not in by_abi.get(abi, set())
    ]
