"""One device goes through the whole offload sequence against `lawow serve` over TLS, and a second one joins it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.android.builders import Jvm, Sample, sample
from tests.android.edge_double import make_certificate
from tests.android.moving_hosts import TOKEN, moving_hosts
from tests.conftest import lawow
from tests.server.running import RunningEdge, running_edge

COUNTER = """
(module
  (memory (export "memory") 2)
  (global $stack (mut i32) (i32.const 66560))
  (data (i32.const 1024) "\\0a\\00\\00\\00")
  (func (export "add") (param i32) (result i32)
    (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (local.get 0)))
    (i32.store (i32.const 70000) (i32.const 1))
    (i32.load (i32.const 1024))))
"""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge as an operator starts it, with a certificate of its own."""
    folder = tmp_path_factory.mktemp("edge")
    lawow("certificate", "--out", folder / "tls", "--host", "127.0.0.1")
    command = [sys.executable, "-m", "lawow", "serve", "--json", "--port", "0", "--data", str(folder / "data")]
    tls = ["--cert", str(folder / "tls" / "edge.crt"), "--key", str(folder / "tls" / "edge.key")]
    with running_edge(folder / "data", command=[*command, *tls]) as running:
        yield running


@pytest.fixture(scope="module")
def counter() -> Sample:
    return sample("counter.wasm", COUNTER)


@pytest.fixture
def device(local_jvm: Jvm, edge: RunningEdge, counter: Sample, tmp_path: Path) -> Jvm:
    """An app that has the module and knows the edge."""
    assets = tmp_path / "assets" / "lawow"
    assets.mkdir(parents=True)
    (assets / counter.file).write_bytes(counter.data)
    return local_jvm.with_classes(tmp_path).with_properties(
        edge=edge.url, certificate_sha256=edge.announced["pin"], token=edge.token("pair")
    )


def steps(output: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in output.splitlines())


def test_from_the_request_to_the_state_that_goes_on_at_home(
    device: Jvm, counter: Sample, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path, "host")
    with (
        moving_hosts("alpha", "beta", certificate=certificate.pem) as hosts,
        device.started(
            "OffloadSequence",
            "first",
            counter.name,
            *(f"{name}=127.0.0.1:{host.port}:{certificate.sha256}:{TOKEN}" for name, host in hosts.items()),
        ) as process,
    ):
        assert process.stdout is not None
        before = []
        while not before or not before[-1].startswith("shared"):
            line = process.stdout.readline()
            assert line, before
            before.append(line)
        second = steps(device.run("OffloadSequence", "second", "counter"))
        after, _ = process.communicate("\n", timeout=60)
    first = steps("".join(before) + after)
    assert first == {
        "unmet": "1",
        "offers": "1",
        "transferred": str(len(counter.data)),
        "state": "initialised",
        "plane": "true",
        "calls": "[11, 13, 16, 20, 25]",
        "fresh": "17",
        "elastic": "18 true 19",
        "local": "18 false",
        "messages": "500 of 500 at beta",
        "shared": "counter",
        "still": "125",  # 100 of them are the second device's
        "recalled": "recalled 0",
        "here": "1125",
        "ended": first["ended"],
    }
    assert first["ended"].endswith(" false")
    assert second == {"transferred": "0", "calls": "125", "released": "recalled"}
