"""Shadow mode of translated methods: the elastic app's own classes on a JVM, with a real edge.

The edge has what `--auto` made of the app, or of the same app with mistakes in three of its methods.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lawow.cli.refactor_auto import unproved_classes
from lawow.formats.apk import read_app
from lawow.formats.signing import SigningKey
from lawow.refactor.automatic import AutoOptions, survey_app
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.rules import parse_rules
from lawow.refactor.split import SplitOptions
from lawow.refactor.translated import TranslatedClass
from lawow.resources import android_stub
from tests.refactor.builders import binary_manifest, make_zip
from tests.refactor.kernels import compile_dex
from tests.server.running import RunningEdge, call_outcomes, running_edge
from tests.tools import enjarify, run

JAVA = Path(__file__).parent / "java" / "shadow"
METHODS, ROUNDS = 8, 5
WRONG = {
    "fill": "different results here and on the edge, from byte 20 on",
    "item": "no result here and a result on the edge",
    "sum": "different results here and on the edge, from byte 0 on",
}
"""What is found of each method with a mistake."""


def build(folder: Path, *sources: Path) -> bytes:
    """Return an app of these sources."""
    folder.mkdir()
    dex = compile_dex(sources, folder)
    return make_zip({"AndroidManifest.xml": binary_manifest(folder / "manifest"), "classes.dex": dex})


def translated(apk: bytes) -> tuple[TranslatedClass, ...]:
    """Return what `--auto` makes of the class, without any proof."""
    return unproved_classes(
        survey_app(read_app(apk, name="app.apk"), AutoOptions(rules=parse_rules(["Sums"])))
    )


@dataclass(frozen=True, slots=True)
class App:
    """An elastic app for a JVM; `modules` are those that its methods name."""

    jars: tuple[Path, ...]
    modules: tuple[tuple[bytes, str], ...]

    def told(self, edge: RunningEdge, **settings: object) -> tuple[str, list[str], int]:
        """Run it; return what it printed, the mismatches that it tells of, and the number of calls sent."""
        for data, digest in self.modules:
            assert edge.put("app", data, digest).status in (200, 201)
        before = call_outcomes(edge).total()
        given = {"edge": edge.url, "token": edge.token("app"), **settings}
        words = [f"-Dlawow.{key}={value}" for key, value in given.items()]
        path = ":".join(map(str, self.jars))
        options = ("-Xverify:all", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        *printed, found = run("java", *options, *words, "-cp", path, "Told").stdout.splitlines()
        sentences = re.findall(r"auto-Sums\.wasm: (.*?); it is not offloaded any more", found)
        return "\n".join(printed), sentences, call_outcomes(edge).total() - before


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shadow")


@pytest.fixture(scope="module")
def edge(folder: Path) -> Iterator[RunningEdge]:
    with running_edge(folder / "data") as running:
        yield running


@pytest.fixture(scope="module")
def apk(folder: Path) -> bytes:
    return build(folder / "right", *(JAVA / "right").rglob("*.java"))


@pytest.fixture(scope="module")
def original(apk: bytes, folder: Path) -> str:
    """What the app prints before."""
    return run("java", "-cp", folder / "right" / "classes", "app.Main").stdout.rstrip()


def split(apk: bytes, classes: tuple[TranslatedClass, ...], key: SigningKey, folder: Path) -> App:
    """Split the app with these modules, and make it ready for a JVM."""
    options = PlanOptions(rules=(), annotations=(), translated=classes)
    done = refactor_app(apk, "app.apk", options, SplitOptions(is_elastic=True, shadow=1), key)
    folder.mkdir()
    (folder / "slim.apk").write_bytes(done.apk)
    with zipfile.ZipFile(folder / "slim.apk") as archive:
        archive.extractall(folder)
    for dex in folder.glob("*.dex"):
        assert run("dexdump", "-d", dex).stderr == ""
    jars = [enjarify(dex, dex.with_suffix(".jar")) for dex in sorted(folder.glob("*.dex"))]
    stub = android_stub("prebuilt", "lawow-stub.jar")
    path = f"{stub}:{folder.parent / 'right' / 'classes'}"
    run("javac", "-cp", path, "-d", folder, JAVA / "Told.java")
    modules = tuple((item.module.data, item.module.sha256) for item in classes)
    return App((*jars, folder), modules)


@pytest.fixture(scope="module")
def right(apk: bytes, key: SigningKey, folder: Path) -> App:
    return split(apk, translated(apk), key, folder / "split")


@pytest.fixture(scope="module")
def wrong(apk: bytes, key: SigningKey, folder: Path) -> App:
    mistaken = build(
        folder / "wrong", JAVA / "wrong" / "app" / "Sums.java", JAVA / "right" / "app" / "Main.java"
    )
    return split(apk, translated(mistaken), key, folder / "mistaken")


def test_an_edge_that_does_the_same_gets_every_call(right: App, original: str, edge: RunningEdge) -> None:
    """Numbers of all types, arrays that change, exceptions and NaN; a null array cannot be sent."""
    assert right.told(edge) == (original, [], ROUNDS * METHODS)


def test_methods_with_a_mistake_stay_here_and_the_result_was_right_all_the_time(
    wrong: App, original: str, edge: RunningEdge
) -> None:
    printed, found, sent = wrong.told(edge)
    assert printed == original
    assert found == [f"{name}: the same call gave {what}" for name, what in WRONG.items()]
    others = METHODS - len(WRONG)
    assert ROUNDS * others < sent < ROUNDS * METHODS


def test_a_mismatch_is_remembered_where_the_app_may_write(
    wrong: App, original: str, edge: RunningEdge, tmp_path: Path
) -> None:
    first, again = (wrong.told(edge, cache=tmp_path / "code") for _ in range(2))
    assert first[:2] == again[:2]
    assert again[2] == ROUNDS * (METHODS - len(WRONG))
    kept = sorted((tmp_path / "code").iterdir())
    assert [path.suffix for path in kept] == [".differs"] * len(WRONG)
    kept[0].write_bytes(b"torn")
    assert wrong.told(edge, cache=tmp_path / "code")[:2] == first[:2]


def test_without_an_edge_that_takes_calls_the_original_runs_and_nothing_is_said(
    wrong: App, original: str, edge: RunningEdge
) -> None:
    assert wrong.told(edge, mode="local") == (original, [], 0)
    assert wrong.told(edge, token="of-nobody") == (original, [], 0)


def test_the_share_may_be_changed_on_the_device(wrong: App, original: str, edge: RunningEdge) -> None:
    """Nothing is compared, so what the edge computes is what the app gets."""
    printed, found, sent = wrong.told(edge, shadow=0)
    assert printed != original
    assert (found, sent) == ([], ROUNDS * METHODS)
