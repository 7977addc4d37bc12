"""What is read from build scripts as people write them; that they are such, the languages' parsers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.build import maven_jar
from lawow.pack.app_tree import read_app_tree
from tests.maven import maven_folder
from tests.pack.builders import app_tree, plan_pack
from tests.pack.test_trees import GROOVY
from tests.tools import run

KOTLIN = "org.jetbrains.kotlin:kotlin-compiler-embeddable:2.1.20"
KOTLIN_SHA256 = "c54a00718c8c0e3ee858bf42771c7f401c5e3c1738861e18e9536371042fa1b3"
SETTINGS = {"settings.gradle": "include ':app'\n"}
CATALOG = {
    "settings.gradle.kts": "",
    "gradle/libs.versions.toml": '[versions]\nmin-sdk = "24"\nagp = "8.7.0"\n',
}


@dataclass(frozen=True)
class Case:
    """A module's script, other files of its project, and what the scripts say."""

    script: str
    text: str
    min_sdk: int | None = None
    project: Mapping[str, str] = field(default_factory=dict)
    abis: frozenset[str] = frozenset()


def groovy(inside: str, before: str = "", **more: object) -> Case:
    text = f"apply plugin: 'com.android.app'\n{before}\nandroid {{\n  namespace 'org.app'\n{inside}\n}}\n"
    return Case("build.gradle", text, **more)  # type: ignore[arg-type]


def kotlin(inside: str, before: str = "", **more: object) -> Case:
    text = f'{before}\nandroid {{\n  namespace = "org.app"\n{inside}\n}}\n'
    return Case("build.gradle.kts", text, **more)  # type: ignore[arg-type]


CASES = {
    "old groovy": groovy("defaultConfig { minSdkVersion 21 }", min_sdk=21),
    "groovy call": groovy("defaultConfig { minSdkVersion(22) }", min_sdk=22),
    "new groovy": groovy("defaultConfig { minSdk = 23 }", min_sdk=23),
    "kotlin": kotlin("defaultConfig { minSdk = 26 }", min_sdk=26),
    "catalog, groovy": groovy(
        "defaultConfig { minSdk libs.versions.min.sdk.get().toInteger() }", min_sdk=24, project=CATALOG
    ),
    "catalog, kotlin": kotlin(
        "defaultConfig { minSdk = libs.versions.min.sdk.get().toInt() }", min_sdk=24, project=CATALOG
    ),
    "catalog without the name": kotlin(
        "defaultConfig { minSdk = libs.versions.no.get().toInt() }", project=CATALOG
    ),
    "catalog that is no TOML": kotlin(
        "defaultConfig { minSdk = libs.versions.min.sdk.get().toInt() }",
        project=CATALOG | {"gradle/libs.versions.toml": "[versions"},
    ),
    "root's ext, as React Native writes it": groovy(
        "defaultConfig { minSdkVersion rootProject.ext.minSdkVersion }",
        min_sdk=21,
        project=SETTINGS | {"build.gradle": "buildscript { ext { minSdkVersion = 21 } }"},
    ),
    "root's extra, kotlin": kotlin(
        'defaultConfig { minSdk = (rootProject.extra["minSdk"] as Int) }',
        min_sdk=25,
        project={"settings.gradle.kts": "", "build.gradle.kts": 'extra["minSdk"] = 25'},
    ),
    "gradle.properties": groovy(
        "defaultConfig { minSdkVersion project.minimum as int }",
        min_sdk=27,
        project=SETTINGS | {"gradle.properties": "minimum=27\n"},
    ),
    "a variable of the script": kotlin("defaultConfig { minSdk = lowest }", "val lowest = 28", min_sdk=28),
    "safeExtGet with its fallback": groovy(
        "defaultConfig { minSdkVersion safeExtGet('minSdkVersion', 19) }",
        "def safeExtGet(prop, fallback) { rootProject.ext.has(prop) ? rootProject.ext.get(prop) : fallback }",
        min_sdk=19,
    ),
    "a function that nobody knows": kotlin("defaultConfig { minSdk = flutterMinimum() }"),
    "flavours: the lowest counts": kotlin(
        'defaultConfig { minSdk = 26 }\nproductFlavors {\n  create("old") { minSdk = 21 }\n'
        '  create("new") { minSdk = 29 }\n}',
        min_sdk=21,
    ),
    "comments say nothing": groovy("// minSdk 5\n/* minSdk 6 */ defaultConfig { minSdk 30 }", min_sdk=30),
    "filters, groovy": groovy(
        "defaultConfig { ndk { abiFilters 'arm64-v8a', 'armeabi-v7a' } }\n"
        "packagingOptions { jniLibs { useLegacyPackaging true } }",
        abis=frozenset({"arm64-v8a", "armeabi-v7a"}),
    ),
    "filters, kotlin": kotlin(
        'defaultConfig {\n  ndk.abiFilters += listOf(\n    "arm64-v8a",\n    "x86_64",\n  )\n}\n'
        'packaging { jniLibs.keepDebugSymbols += "**/x.so" }',
        abis=frozenset({"arm64-v8a", "x86_64"}),
    ),
    "filters added one by one": kotlin(
        'defaultConfig { ndk { abiFilters.add("x86_64"); abiFilters.addAll(setOf("x86")) } }',
        abis=frozenset({"x86_64", "x86"}),
    ),
    "no filter": kotlin('splits { abi { include("x86") } }'),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_scripts_are_read_as_people_write_them(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    for path, text in case.project.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    tree = read_app_tree(app_tree(tmp_path / "app", gradle=case.text, script=case.script), None)
    assert (tree.package, tree.min_sdk, tree.built_abis) == ("org.app", case.min_sdk, case.abis)


def kotlin_errors(folder: Path, texts: Mapping[str, str]) -> str:
    """Return the syntax errors that Kotlin's compiler finds in scripts; it knows none of Gradle's names."""
    compiler = maven_folder("kotlin", KOTLIN, KOTLIN_SHA256)
    for name, text in texts.items():
        (folder / f"{name}.kt").write_text(f"fun script_{name}() {{\n{text}\n}}\n")
    files = sorted(folder.glob("*.kt"))
    options = (
        "-no-stdlib",
        "-no-reflect",
        "-cp",
        *compiler.glob("kotlin-stdlib-*.jar"),
        "-d",
        folder / "out",
    )
    command = ("java", "-cp", f"{compiler}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", *options, *files)
    lines = run(*command, check=False).stderr.splitlines()
    return "\n".join(line for line in lines if "syntax error" in line.lower())


def test_kotlins_own_parser_takes_the_scripts_and_the_line_that_pack_prints(
    tmp_path: Path, runtime_dir: Path
) -> None:
    app = app_tree(tmp_path / "app", gradle=CASES["kotlin"].text, script="build.gradle.kts")
    notes = plan_pack(app, runtime_dir=runtime_dir).notes
    (note,) = (note for note in notes if "add to build.gradle.kts: " in note)
    scripts = [case.text for case in CASES.values() if case.script.endswith(".kts")]
    texts = {f"case{number}": text for number, text in enumerate(scripts)}
    texts["line"] = note.partition("add to build.gradle.kts: ")[2]
    (tmp_path / "kt").mkdir()
    wrong = kotlin_errors(tmp_path / "kt", texts | {"control": "proguardFiles 'one'"})
    assert {line.rpartition("/")[2].partition(":")[0] for line in wrong.splitlines()} == {"control.kt"}


def test_groovys_own_parser_takes_the_scripts(tmp_path: Path) -> None:
    scripts = [case.text for case in CASES.values() if case.script == "build.gradle"]
    for number, text in enumerate([*scripts, "android { minSdk = }"]):
        (tmp_path / f"case{number}.gradle").write_text(text)
    parse = "args.each { try { new GroovyShell().parse(new File(it)) } catch (Exception e) { println it } }"
    files = sorted(tmp_path.glob("*.gradle"))
    done = run("java", "-cp", maven_jar(GROOVY), "groovy.ui.GroovyMain", "-e", parse, *files)
    assert done.stdout == f"{tmp_path / f'case{len(scripts)}.gradle'}\n"


def test_an_abi_that_the_script_leaves_out_is_said(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", gradle=CASES["filters, groovy"].text)
    (note,) = (n for n in plan_pack(app, runtime_dir=runtime_dir).notes if "abiFilters" in n)
    assert note == "build.gradle leaves x86_64 out (abiFilters); give --abi arm64-v8a"
    assert not any(
        "abiFilters" in n for n in plan_pack(app, runtime_dir=runtime_dir, abis=["arm64-v8a"]).notes
    )


def test_a_script_of_any_size_and_shape_costs_little(tmp_path: Path) -> None:
    for text in ("minSdk " * 100_000, "minSdk(" + "a." * 300_000, "abiFilters(\n" * 50_000, "/* " * 300_000):
        app = app_tree(tmp_path / str(len(text)), gradle="namespace 'a.b'\n" + text)
        assert read_app_tree(app, None).min_sdk is None
