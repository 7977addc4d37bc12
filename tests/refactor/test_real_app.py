"""The whole split on an app that others made: 6.4 MB, 5,068 classes, minSdkVersion 17."""

from __future__ import annotations

import hashlib
import http.server
import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.formats.signing import SigningKey
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.pipeline import Refactored, refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.report import report_record
from lawow.refactor.split import SplitOptions
from tests.refactor.builders import wasm
from tests.tools import enjarify, run, tool

PIXELS = "io.appium.android.apis.graphics.BitmapPixels$SampleView"
COLORS = "androidx.core.content.res.CamUtils"
LERP = wasm({"lerp": "fff>f"})
MODULES = (
    ModuleChoice("CamUtils", "cam_utils.wasm", LERP),
    ModuleChoice("BitmapPixels$SampleView", "pixels.wasm", wasm({"mul255": "ii>i", "pack4444": "iiii>i"})),
)

DRIVER = """
import java.lang.reflect.Method;
public class Driver {
    public static void main(String[] arguments) throws Exception {
        Method lerp = Class.forName("androidx.core.content.res.CamUtils")
            .getDeclaredMethod("lerp", float.class, float.class, float.class);
        lerp.setAccessible(true);
        System.out.println(lerp.invoke(null, 1.0f, 2.0f, 0.25f));
    }
}
"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def split(apidemos_apk: Path, key: SigningKey) -> Refactored:
    options = PlanOptions(modules=MODULES, allow_old_android=True)
    return refactor_app(apidemos_apk.read_bytes(), "ApiDemos-debug.apk", options, SplitOptions(), key)


@pytest.fixture(scope="module")
def slim(split: Refactored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real") / "slim.apk"
    path.write_bytes(split.apk)
    return path


def test_only_what_was_asked_for_moves(split: Refactored) -> None:
    moved = [(item.class_name, item.method) for item in split.report.split.plan.methods]
    assert sorted(moved) == [(COLORS, "lerp"), (PIXELS, "mul255"), (PIXELS, "pack4444")]


def test_androids_tools_accept_the_slim_apk(slim: Path) -> None:
    verdict = run("apksigner", "verify", "--verbose", slim).stdout
    for scheme in ("v1 scheme (JAR signing)", "v2 scheme (APK Signature Scheme v2)", "v3 scheme"):
        assert any(scheme in line and line.endswith("true") for line in verdict.splitlines())
    run("zipalign", "-c", "-p", "4", slim)
    assert "android.permission.INTERNET" in run("aapt", "dump", "badging", slim).stdout
    done = subprocess.run([tool("dexdump"), "-f", slim], capture_output=True, check=True)  # prints MUTF-8
    assert done.stderr == b""


def test_every_other_class_is_the_same_in_the_disassembler(
    apidemos_apk: Path, slim: Path, tmp_path: Path
) -> None:
    texts = []
    for name, apk in (("before", apidemos_apk), ("after", slim)):
        folder = tmp_path / name
        with zipfile.ZipFile(apk) as archive:
            archive.extract("classes.dex", folder)
        run("baksmali", "d", folder / "classes.dex", "-o", folder / "out", "--ac", "false", "-j", "2")
        texts.append({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.smali")})
    before, after = texts
    moved = {f"out/{name.replace('.', '/')}.smali" for name in (PIXELS, COLORS)}
    assert len(after) == 5066
    assert {name: text for name, text in before.items() if name not in moved} == after


class _Edge(http.server.BaseHTTPRequestHandler):
    """An edge that answers every call with 1.25 and remembers what it was asked."""

    asked: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked.append((self.path, body))
        answer = bytes.fromhex("0000a03f00000000")  # 1.25f as a raw value
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.lawow.values")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def edge() -> Iterator[str]:
    _Edge.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Edge)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_jvm_runs_the_proxy_which_asks_the_edge(slim: Path, tmp_path: Path, edge: str) -> None:
    with zipfile.ZipFile(slim) as archive:
        archive.extract("classes2.dex", tmp_path)
    jar = enjarify(tmp_path / "classes2.dex", tmp_path / "classes2.jar")
    (tmp_path / "Driver.java").write_text(DRIVER)
    run("javac", "-d", tmp_path, tmp_path / "Driver.java")
    options = (f"-Dlawow.edge={edge}", "-Dlawow.token=secret", "-Xverify:all")
    assert run("java", *options, "-cp", f"{jar}:{tmp_path}", "Driver").stdout == "1.25\n"
    digest = hashlib.sha256(LERP).hexdigest()
    (path, body) = _Edge.asked[-1]
    assert path == f"/v1/modules/sha256:{digest}/exports/lerp/calls"
    assert body == b"".join(bytes.fromhex(bits) + bytes(4) for bits in ("0000803f", "00000040", "0000803e"))


def test_the_report_is_data(split: Refactored) -> None:
    record = json.loads(json.dumps(report_record(split.report)))
    assert record["package"] == "io.appium.android.apis"
    assert len(record["resident"]["its name matches no rule (*Wasm)"]) == 5066
    assert any("another signing key" in warning for warning in record["warnings"])
