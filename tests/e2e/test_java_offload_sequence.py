"""A Java program out of a slim APK walks through the offload sequence over TLS; a second device joins it.

What runs on a JVM are the slim APK's own dex files, translated by enjarify: the program, the proxy, and the
part of the stub library that the APK carries. Modules and settings come from its assets. The edge is a real
`lawow serve`. The flexible end of one channel lives in another process, on two hosts of
`lawow.device.channel_host`; that of a second one begins in an instance on the edge, comes home to the JVM,
and goes from the edge to those hosts and back, carried by its client. At last the edge is told to end.
"""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from fixtures.build import DX, maven_jar
from lawow.formats.signing import debug_key
from lawow.refactor.edge_properties import EdgeProperties
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from lawow.resources import android_stub
from tests.android.builders import Jvm, Sample
from tests.refactor.builders import binary_manifest, make_zip
from tests.server.planes import grant_channels
from tests.server.running import RunningEdge
from tests.tools import enjarify, run

SOURCES = Path(__file__).parent / "java"


@pytest.fixture
def slim_apk(edge: RunningEdge, counter: Sample, relay: Sample, tmp_path: Path) -> Path:
    """The slim APK of an app: the program, a relay, and a counter that was split off."""
    stub, classes, dex = android_stub("prebuilt", "lawow-stub.jar"), tmp_path / "app", tmp_path / "app.dex"
    options = ("--release", "8", "-Xlint:all,-options", "-Werror")
    run("javac", *options, "-cp", stub, "-d", classes, *SOURCES.glob("*.java"))
    dx = ("java", "-cp", maven_jar(DX), "com.android.dx.command.Main", "--dex", "--min-sdk-version=21")
    run(*dx, f"--output={dex}", classes)
    modules = {f"assets/lawow/{module.file}": module.data for module in (counter, relay)}
    entries = {"classes.dex": dex.read_bytes(), **modules}
    manifest = binary_manifest(tmp_path / "manifest", min_sdk=24)
    settings = EdgeProperties(edge.url, edge.announced["pin"], edge.token("walker"))
    grant_channels(edge, "walker")
    apk = make_zip({"AndroidManifest.xml": manifest, **entries})
    done = refactor_app(apk, "app.apk", PlanOptions(), SplitOptions(settings), debug_key())
    path = tmp_path / "app-slim.apk"
    path.write_bytes(done.apk)
    return path


@pytest.fixture
def device(slim_apk: Path, host_glue: Path, host_wasmtime: Path, tmp_path: Path) -> Jvm:
    """A JVM that has the slim APK's classes and assets, and nothing else."""
    jar = enjarify(slim_apk, tmp_path / "app-slim.jar")
    return Jvm((jar, slim_apk)).with_properties(library=host_glue, wasmtime=host_wasmtime)


def steps(output: str) -> dict[str, str]:
    """What each step came to."""
    return dict(line.split(" ", 1) for line in output.splitlines())


def until(step: str, process: subprocess.Popen[str]) -> str:
    """Return what the program says up to this step."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(f"{step} "):
            return said
    raise AssertionError(f"ended before {step}:\n{said}")


def test_from_the_request_to_the_state_that_goes_on_at_home(
    device: Jvm, edge: RunningEdge, host_words: list[str], counter: Sample, relay: Sample
) -> None:
    """No message is lost or comes twice; the second device finds the first one's module, and its state."""
    neighbour = device.with_properties(token=edge.token("neighbour"))
    digests = (counter.digest, relay.digest)
    with device.started("OffloadSequence", "first", *digests, *host_words) as process:
        before = until("shared", process)
        second = steps(neighbour.run("OffloadSequence", "second", "walker/counter"))
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        after = until("standing", process)
        edge.process.send_signal(signal.SIGTERM)
        at_last, _ = process.communicate(timeout=60)
    drained = steps(at_last)
    assert re.fullmatch(r"all in order by \[3(, 4)?\]", drained["drained"])  # 4: what came before it ended
    assert re.fullmatch(r"all in order by \[1(, 4)?\]", drained["refuge"])
    assert edge.process.wait(60) == 0
    assert steps(before + after) == {
        "unmet": "1",
        "offers": "1",
        "transferred": str(len(counter.data)),
        "state": "initialised",
        "plane": "true",
        "calls": "[11, 13, 16, 20, 25]",
        "fresh": "17",
        "elastic": "18 true 19",
        "local": "18 false",
        "messages": "all in order by [1, 2]",
        "last": "8002 at edge-2",
        "home": "all in order by [3, 4]",
        "carried": "all in order by [1, 2, 3, 4]",
        "shared": "counter",
        "still": "125",  # 100 of them are the second device's
        "recalled": "recalled 0",
        "here": "1125",
        "ended": "false",
        "standing": "24",
    }
    assert second == {"transferred": "0", "calls": "125", "released": "recalled"}
