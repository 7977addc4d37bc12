"""The same program before and after the split: on a JVM, with a real edge behind the proxies.

Both sides of the comparison come out of dex files: the original app's, and the slim or elastic app's with the
stub library in it, which a JVM verifies before it runs them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.build import DX, maven_jar
from lawow.formats.signing import SigningKey
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from lawow.resources import android_stub
from tests.conftest import ROOT
from tests.refactor.builders import binary_manifest, make_zip
from tests.server.running import RunningEdge, running_edge
from tests.tools import enjarify, run

JAVA = Path(__file__).parent / "java"
MODULE = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()
PLAN = PlanOptions(modules=(ModuleChoice("TotalWasm", "arrays.wasm"),))
SEED, ROUNDS = "20261122", "12"
NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver, compiled against the original classes."""
    out = tmp_path_factory.mktemp("behaviour")
    stub = android_stub("prebuilt", "lawow-stub.jar")
    options = ("--release", "8", "-nowarn", "-Xlint:-options", "-encoding", "UTF-8")
    run("javac", *options, "-d", out / "sample", *JAVA.glob("sample/*.java"))
    classpath = f"{stub}:{out / 'sample'}"
    run("javac", *options, "-cp", classpath, "-d", out / "driver", JAVA / "Behaviour.java")
    return out


@pytest.fixture(scope="module")
def apk(folder: Path) -> bytes:
    """The app: the sample classes as dx compiles them, and their module."""
    dex = folder / "classes.dex"
    run(
        "java", "-cp", maven_jar(DX), "com.android.dx.command.Main", "--dex", "--min-sdk-version=21",
        f"--output={dex}", folder / "sample",
    )  # fmt: skip
    contents = {
        "AndroidManifest.xml": binary_manifest(folder / "manifest"),
        "classes.dex": dex.read_bytes(),
        "assets/arrays.wasm": MODULE,
    }
    return make_zip(contents)


@pytest.fixture(scope="module")
def before(apk: bytes, folder: Path) -> str:
    """What the original prints."""
    jar = enjarify(_dex(apk, "classes.dex", folder), folder / "before.jar")
    output, where = _run(folder, jar, android_stub("prebuilt", "lawow-stub.jar"))
    assert where == "all here"
    return output


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("edge") / "data") as running:
        reply = running.put("app", MODULE, hashlib.sha256(MODULE).hexdigest())
        assert reply.status == 201
        yield running


@pytest.fixture(scope="module")
def slim(apk: bytes, key: SigningKey, folder: Path) -> Path:
    return _split(apk, key, folder, SplitOptions())


@pytest.fixture(scope="module")
def elastic(apk: bytes, key: SigningKey, folder: Path) -> Path:
    return _split(apk, key, folder, SplitOptions(is_elastic=True))


def _dex(apk: bytes, name: str, folder: Path) -> Path:
    path = folder / name
    with zipfile.ZipFile(io.BytesIO(apk)) as archive:
        path.write_bytes(archive.read(name))
    return path


def _split(apk: bytes, key: SigningKey, folder: Path, options: SplitOptions) -> Path:
    """Split the app and return the new dex file, proxies and stub library, as a JAR."""
    kind = "elastic" if options.is_elastic else "slim"
    out = folder / kind
    out.mkdir()
    done = refactor_app(apk, "app.apk", PLAN, options, key)
    dex = _dex(done.apk, "classes2.dex", out)
    assert run("dexdump", "-d", dex).stderr == ""
    return enjarify(dex, out / f"{kind}.jar")


def _run(folder: Path, *jars: Path, **properties: str) -> tuple[str, str]:
    """Run the driver; return what it prints and where it says that methods ran."""
    given = [f"-Dlawow.{key}={value}" for key, value in properties.items()]
    path = ":".join(map(str, (*jars, folder / "driver")))
    options = ("-Xverify:all", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8")
    done = run("java", *options, *given, "-cp", path, "Behaviour", SEED, ROUNDS)
    return done.stdout, done.stderr.splitlines()[-1]


def test_proxies_and_an_edge_do_what_the_methods_did(
    folder: Path, before: str, slim: Path, edge: RunningEdge
) -> None:
    output, where = _run(folder, slim, edge=edge.url, token=edge.token("app"))
    assert output == before
    assert where == "some elsewhere"


def test_an_elastic_app_does_the_same_with_an_edge(
    folder: Path, before: str, elastic: Path, edge: RunningEdge
) -> None:
    output, where = _run(folder, elastic, edge=edge.url, token=edge.token("app"))
    assert output == before
    assert where == "some elsewhere"


@pytest.mark.parametrize("properties", [{"edge": NOWHERE}, {"mode": "local"}], ids=["auto", "local"])
def test_an_elastic_app_does_the_same_without_an_edge(
    folder: Path, before: str, elastic: Path, properties: dict[str, str]
) -> None:
    output, where = _run(folder, elastic, **properties)
    assert output == before
    assert where == "all here"
