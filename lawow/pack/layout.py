"""Where an app's source tree keeps what pack reads and writes: Gradle's layout, and that of Ant and Eclipse.

Paths are relative to the app's folder, with ``/``. An Ant project may have moved its Java sources elsewhere
(``source.dir`` in ``ant.properties``), which is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lawow.errors import UsageError

__all__ = ["ANT", "GRADLE", "Layout", "find_layout", "is_set_folder"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one kind of tree. `libraries` holds the fields ``{build}`` (main, debug) and ``{abi}``.

    `scripts` are the build scripts, of which the first that exists counts, each with the line, ``{rules}`` in
    it, by which the shrinker reads a file of rules.
    """

    manifest: str
    wasm: str
    assets: str
    java: str
    libraries: str
    glue_sources: str
    keep_rules: str
    scripts: Mapping[str, str]

    def library_folder(self, abi: str, *, debug_only: bool) -> str:
        """Return where the libraries of an ABI go."""
        return self.libraries.format(build="debug" if debug_only else "main", abi=abi)

    @property
    def own_libraries(self) -> str:
        """A glob of the app's own libraries."""
        return f"{self.library_folder('*', debug_only=False)}/*.so"

    @property
    def usual_script(self) -> str:
        """The build script that a user without one has to make."""
        return list(self.scripts)[-1]

    def rule_line(self, script: str) -> str:
        """Return the line of a build script that makes the shrinker read our rules."""
        return self.scripts[script].format(rules=self.keep_rules)


GRADLE = Layout(
    manifest="src/main/AndroidManifest.xml",
    wasm="src/main/wasm",
    assets="src/main/assets/lawow",
    java="src/main/java",
    libraries="src/{build}/jniLibs/{abi}",
    glue_sources="src/main/lawow/cpp",
    keep_rules="src/main/lawow-proguard.txt",
    scripts={
        "build.gradle.kts": 'proguardFiles("{rules}")',
        "build.gradle": "proguardFiles '{rules}'",
    },
)
ANT = Layout(
    manifest="AndroidManifest.xml",
    wasm="wasm",
    assets="assets/lawow",
    java="src",
    libraries="libs/{abi}",
    glue_sources="lawow/cpp",
    keep_rules="lawow-proguard.txt",
    scripts={
        "project.properties": "proguard.config=${{sdk.dir}}/tools/proguard/proguard-android.txt:{rules}",
    },
)


def is_set_folder(folder: Path) -> bool:
    """Tell whether a folder is a set of split APKs: it holds APKs, and no source tree."""
    is_tree = any((folder / layout.manifest).is_file() for layout in (GRADLE, ANT))
    return not is_tree and any(folder.glob("*.apk"))


def find_layout(folder: Path) -> Layout:
    """Return the layout of an app's folder. Raises `UsageError` if it is none."""
    for layout in (GRADLE, ANT):
        if (folder / layout.manifest).is_file():
            return layout
    raise UsageError(
        f"{folder}: no {GRADLE.manifest}; give the folder of an Android app's Gradle module"
        f" (or of an Ant or Eclipse project, which has {ANT.manifest}), a finished APK, or"
        " the APKs of a set"
    )
