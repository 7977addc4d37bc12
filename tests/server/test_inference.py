"""Inference on the edge: granted to a tenant, with its own models, within its memory, behind the fences."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from lawow.channel.bodies import read_returned, write_arguments
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.policies import require_grants
from lawow.edge.tenants import Tenants
from lawow.errors import LawowError, LimitExceeded
from lawow.figures.detection import Detector, detector_files
from lawow.figures.scene import VIEW, make_site
from lawow.formats.elements import Packed
from lawow.formats.signature import parse_typed_signature
from tests.conftest import ROOT
from tests.edge.builders import module_of, named
from tests.runtime.nn import models
from tests.runtime.nn.builders import DETECTOR, EDGES, picture
from tests.server.planes import open_plane
from tests.server.running import RunningEdge, issue_token, running_edge

WASM, MODEL = detector_files()
HAZARDS = named(WASM)
SIGNATURE = "[bii>[i"
BOXES = "[b>[i"
SITE = make_site(960, 720, 30, seed=5)
NO_MODEL, TOO_LARGE = -8, -7
GROWER = module_of(
    """(module (memory (export "memory") 1)
  (func (export "grow") (result i32)
    (loop (br_if 0 (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) (memory.size)))"""
)


EAGER = module_of(
    """(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $open (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (memory (export "memory") 1) (global $codes (mut i32) (i32.const 0))
  (data (i32.const 0) "hazards")
  (data (i32.const 16) "\\01\\00\\00\\00\\01\\00\\00\\00\\08\\00\\00\\00\\08\\00\\00\\00")
  (data (i32.const 32) "\\10\\00\\00\\00\\04\\00\\00\\00\\01\\00\\00\\00\\00\\04\\00\\00\\00\\01\\00\\00")
  (func (export "_initialize")
    (global.set $codes (i32.or
      (i32.or (call $load (i32.const 0) (i32.const 7) (i32.const 8))
              (call $open (i32.const 0) (i32.const 12)))
      (i32.or (call $set (i32.const 0) (i32.const 0) (i32.const 32)) (call $compute (i32.const 0))))))
  (func (export "codes") (result i32) (global.get $codes)))"""
)
"""Looks at a picture of 8 by 8 pixels before anything is called."""


@pytest.fixture(scope="module")
def granting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("inference") / "data") as edge:
        yield edge


def grant(data: Path, tenant: str, *grants: str, **quotas: int) -> None:
    """Do what `lawow tenant set` does, while the edge runs."""
    require_grants(grants)
    database = Database(DataFolder(data).database)
    Tenants(database).change(tenant, quotas, grants)
    database.close()


@pytest.fixture
def granted(granting: RunningEdge, tenant: str) -> Iterator[EdgeClient]:
    """The client of a tenant that may use models."""
    granting.token(tenant)
    grant(granting.data, tenant, "nn")
    with granting.client(tenant) as client:
        yield client


@pytest.fixture
def hazards(granted: EdgeClient) -> EdgeClient:
    granted.upload_module(HAZARDS.wasm)
    granted.upload_model("hazards", MODEL)
    return granted


def view(number: int) -> bytes:
    return SITE.view(80 * number, 60 * number)


def detect(client: EdgeClient, image: bytes, deadline_seconds: float | None = None) -> list[int]:
    """Ask the guest about a picture, on a fresh instance."""
    signed = [item - 256 if item > 127 else item for item in image]
    (found,) = client.call(
        HAZARDS.digest, "detect", SIGNATURE, [signed, *VIEW], deadline_seconds=deadline_seconds
    ).results
    assert isinstance(found, list)
    return [int(str(item)) for item in found]


def test_a_picture_is_understood_over_http_as_it_is_on_the_device(hazards: EdgeClient) -> None:
    here = Detector(WASM, MODEL)
    for number in range(4):
        found = detect(hazards, view(number))
        assert found == here.find(view(number))
        assert len(found) >= 4
    here.close()


def test_a_picture_is_understood_over_the_data_plane(
    granting: RunningEdge, hazards: EdgeClient, tenant: str
) -> None:
    here = Detector(WASM, MODEL)
    plane = open_plane(granting, tenant, HAZARDS)
    with plane.client() as client:
        function = client.bind(plane.target, "detect", SIGNATURE)
        for number in range(4):
            image, sides = Packed(len(view(0)), view(number)), [item.to_bytes(8, "little") for item in VIEW]
            arguments = [image, *sides]
            body = bytes(client.call(function, write_arguments(arguments)).results)
            (found,) = read_returned(parse_typed_signature(SIGNATURE), arguments, body).results
            assert isinstance(found, Packed)
            assert memoryview(found.data).cast("i").tolist() == here.find(view(number))
    here.close()


def test_the_library_computes_behind_all_fences(granting: RunningEdge, hazards: EdgeClient) -> None:
    detect(hazards, view(0))
    started = [line for line in granting.log.read_text().splitlines() if " worker-started " in line]
    assert all("fences=limits,filter" in line for line in started)
    for process in granting.workers().values():
        assert "Seccomp:\t2" in Path(f"/proc/{process}/status").read_text()


def test_a_guest_may_bring_a_model_along(granted: EdgeClient) -> None:
    module = granted.upload_module(DETECTOR.read_bytes())
    image, box = picture(64, 48, (24, 16, 8, 8)), EDGES.read_bytes()
    signed = [[item - 256 if item > 127 else item for item in data] for data in (image, box)]
    (found,) = granted.call(module.digest, "detect_with", "[b[bi>[i", [*signed, 0]).results
    session = onnxruntime.InferenceSession(box, providers=["CPUExecutionProvider"])
    pixels = numpy.frombuffer(image[-64 * 48 :], "u1").reshape(1, 1, 48, 64).astype("f4") / 255
    _, cell = session.run(None, {"image": pixels})
    assert isinstance(found, list)
    assert (found[0], found[1]) == (cell.item() % 8 * 8, cell.item() // 8 * 8)


@pytest.mark.promise("N8")
def test_without_the_grant_the_command_that_gives_it_is_told(granting: RunningEdge, tenant: str) -> None:
    with granting.client(tenant) as client:
        for upload in (
            lambda: client.upload_module(HAZARDS.wasm),
            lambda: client.upload_model("hazards", MODEL),
        ):
            with pytest.raises(EdgeProblem, match="`lawow tenant set NAME --grant nn`") as caught:
                upload()
            assert caught.value.code == "bad-module"
        assert client.models() == {}


def test_a_grant_that_was_taken_back_is_gone_with_the_next_call(
    granting: RunningEdge, hazards: EdgeClient, tenant: str
) -> None:
    assert detect(hazards, view(0))
    grant(granting.data, tenant)
    with pytest.raises(EdgeProblem) as caught:
        detect(hazards, view(0))
    assert caught.value.code == "bad-module"
    assert hazards.models() == {"hazards": hashlib.sha256(MODEL).hexdigest()}
    hazards.remove_model("hazards")


@pytest.mark.promise("N7")
def test_models_are_the_tenants_own(granting: RunningEdge, hazards: EdgeClient) -> None:
    granting.token("other")
    grant(granting.data, "other", "nn")
    with granting.client("other") as other:
        other.upload_module(HAZARDS.wasm)
        assert other.models() == {}
        assert detect(other, view(0)) == [NO_MODEL]
        with pytest.raises(EdgeProblem) as caught:
            other.remove_model("hazards")
        assert caught.value.code == "not-found"
    assert detect(hazards, view(0)) != [NO_MODEL]


def test_a_model_comes_goes_and_is_replaced_while_an_instance_lives(
    granting: RunningEdge, hazards: EdgeClient, tenant: str
) -> None:
    """The worker has a session, so it is not started anew; an instance keeps what it has loaded."""
    counter = module_of(
        '(module (memory (export "memory") 1) (func (export "one") (result i32) i32.const 1))'
    )
    hazards.upload_module(counter.wasm)
    with hazards.open_session(counter.digest) as session:
        assert session.call("one", ">i", []).results == (1,)
        worker = granting.workers()[tenant]
        assert len(detect(hazards, view(0))) > 1
        hazards.upload_model("hazards", blind())
        assert detect(hazards, view(0)) == []
        hazards.remove_model("hazards")
        assert detect(hazards, view(0)) == [NO_MODEL]
        hazards.upload_model("hazards", MODEL)
        assert len(detect(hazards, view(0))) > 1
        assert session.call("one", ">i", []).results == (1,)
        assert granting.workers()[tenant] == worker


HOSTILE = {
    "none": b"",
    "zeros": bytes(1000),
    "cut": MODEL[:-1],
    "foreign": models.external_initializer("/etc/passwd"),
    "sparse": models.sparse_initializer(),
    "file": models.names_a_file(),
    "functions": models.doubling_functions(17),
    "nested": models.nested(30),
    "type": helper.make_model(
        helper.make_graph([helper.make_node("NoSuchOperator", ["x"], ["y"])], "g", [], [])
    ).SerializeToString(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_is_refused_where_it_is_uploaded(granted: EdgeClient, name: str) -> None:
    """In a process of its own, whose time and memory are limited; nothing of it is kept."""
    with pytest.raises(EdgeProblem) as caught:
        granted.upload_model(name, HOSTILE[name])
    assert caught.value.code == "bad-module", caught.value
    assert granted.models() == {}


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "a" * 64, "ä"])
def test_a_name_that_is_none_is_refused(granted: EdgeClient, name: str) -> None:
    with pytest.raises(EdgeProblem) as caught:
        granted.upload_model(name, MODEL)
    assert caught.value.code in ("bad-request", "not-found", "method-not-allowed")


def blind() -> bytes:
    """Return a model that sees nothing in any picture: a score for nothing in each cell."""
    weight = numpy.zeros((4, 1, 8, 8), "f4")
    bias = numpy.array([9, 0, 0, 0], "f4")
    return from_picture(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["scores"], strides=[8, 8])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )


def swelling(elements: int) -> bytes:
    """Return a model that makes so many floats of a picture when it runs."""
    shape = numpy_helper.from_array(numpy.array([elements], numpy.int64), "shape")
    brightest = helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0)
    return from_picture(
        [
            brightest,
            helper.make_node("Expand", ["brightest", "shape"], ["all"]),
            helper.make_node("ReduceSum", ["all"], ["scores"]),
        ],
        [shape],
    )


def endless() -> bytes:
    """Return a model that does not end on a picture."""
    body = models.graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["n", "n"], ["next"])],
        [models.value("i", 7, []), models.value("go", 9, []), models.value("n", 1, [])],
        [models.value("go_on", 9, []), models.value("next", 1, [])],
    )
    brightest = helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0)
    loop = helper.make_node("Loop", ["times", "yes", "brightest"], ["scores"], body=body)
    times, yes = numpy.array(1 << 62, numpy.int64), numpy.array(True)
    return from_picture(
        [brightest, loop], [numpy_helper.from_array(times, "times"), numpy_helper.from_array(yes, "yes")]
    )


def from_picture(nodes: list[object], tensors: list[object]) -> bytes:
    image = models.value("image", 1, [1, 1, "height", "width"])
    return models.model(nodes, [image], [models.value("scores", 1, None)], tensors).SerializeToString()


def test_inference_takes_the_tenants_memory_and_no_more(hazards: EdgeClient) -> None:
    """Of 256 MiB instances have half, and models three quarters of the rest."""
    hazards.upload_module(GROWER.wasm)
    assert hazards.call(GROWER.digest, "grow", ">i", []).results[0] in range(1800, 2049)  # pages of 64 KiB
    hazards.upload_model("hazards", swelling(20 << 20))  # 80 MiB
    assert detect(hazards, view(0)) == [-5]  # it ran, and its output is no grid
    for elements in (26 << 20, 1 << 34):  # 104 MiB, 64 GiB
        hazards.upload_model("hazards", swelling(elements))
        assert detect(hazards, view(0)) == [TOO_LARGE]
    hazards.upload_model("hazards", MODEL)
    assert len(detect(hazards, view(0))) > 1


def test_a_model_that_does_not_end_is_stopped_at_the_deadline_and_nothing_else_is(
    granting: RunningEdge, hazards: EdgeClient, tenant: str
) -> None:
    """The worker goes on, and with it the tenant's sessions."""
    hazards.upload_model("hazards", endless())
    with hazards.open_session(HAZARDS.digest) as session:
        worker = granting.workers()[tenant]
        with pytest.raises(LimitExceeded, match="deadline_seconds"):
            detect(hazards, view(0), deadline_seconds=1.0)
        hazards.upload_model("hazards", MODEL)
        assert len(detect(hazards, view(0))) > 1
        signed = [item - 256 if item > 127 else item for item in view(0)]
        assert session.call("detect", SIGNATURE, [signed, *VIEW]).results
        assert granting.workers()[tenant] == worker


def test_an_instance_may_run_a_model_while_it_starts(hazards: EdgeClient) -> None:
    """Also when the deadline of the call before has passed."""
    hazards.upload_module(EAGER.wasm)
    for _ in range(2):
        assert hazards.call(EAGER.digest, "codes", ">i", [], deadline_seconds=1.0).results == (0,)
        time.sleep(1.1)


def test_a_run_over_the_data_plane_can_be_cancelled(
    granting: RunningEdge, hazards: EdgeClient, tenant: str
) -> None:
    hazards.upload_model("hazards", endless())
    plane = open_plane(granting, tenant, HAZARDS)
    with plane.client() as client:
        function = client.bind(f"sha256:{HAZARDS.digest}", "detect", SIGNATURE)
        image, sides = Packed(len(view(0)), view(0)), [item.to_bytes(8, "little") for item in VIEW]
        call = client.start(function, write_arguments([image, *sides]))
        client.look()
        time.sleep(0.2)  # the guest has begun
        begun = time.monotonic()
        client.cancel(call)
        with pytest.raises(LawowError):
            client.wait(call)
        assert time.monotonic() - begun < 0.7  # the deadline is ten seconds
        hazards.upload_model("hazards", MODEL)
        assert len(detect(hazards, view(0))) > 1


def test_the_audit_log_tells_which_model_came_under_which_name(
    granting: RunningEdge, granted: EdgeClient, tenant: str
) -> None:
    granted.upload_model("hazards", MODEL)
    with pytest.raises(EdgeProblem):
        granted.upload_model("hazards", b"none")
    granted.remove_model("hazards")
    database = Database(DataFolder(granting.data).database)
    records = [str(row[0]) for row in database.query("SELECT record FROM audit ORDER BY number")]
    database.close()
    own = [record for record in records if f"tenant:{tenant}:" in record and "_model" in record]
    digest = hashlib.sha256(MODEL).hexdigest()
    for record, parts in zip(
        own,
        (
            ("put_model", f"hazards sha256:{digest}", "done-201"),
            ("put_model", "hazards", "bad-module"),
            ("remove_model", "hazards", "done-204"),
        ),
        strict=True,
    ):
        assert all(part in record for part in parts), record


def test_models_outlive_a_restart_and_one_that_rots_is_set_aside(tmp_path: Path) -> None:
    data, digest = tmp_path / "data", hashlib.sha256(MODEL).hexdigest()
    token = issue_token(data, "acme")
    grant(data, "acme", "nn")
    with running_edge(data) as edge, EdgeClient(edge.url, token) as client:
        client.upload_module(HAZARDS.wasm)
        client.upload_model("hazards", MODEL)
    with running_edge(data) as edge, EdgeClient(edge.url, token) as client:
        assert client.models() == {"hazards": digest}
        assert len(detect(client, view(0))) > 1
        (data / "blobs" / digest[:2] / digest).write_bytes(MODEL[:-1] + b"!")
        grant(data, "acme", "nn", nn_threads=2)  # so that the next call gets a new worker
        assert detect(client, view(0)) == [NO_MODEL]
        assert client.models() == {}
        client.upload_model("hazards", MODEL)
        assert len(detect(client, view(0))) > 1


def test_the_operator_chooses_how_many_threads_run_a_model(
    granting: RunningEdge, hazards: EdgeClient, tenant: str
) -> None:
    detect(hazards, view(0))
    alone = threads_of(granting.workers()[tenant])
    grant(granting.data, tenant, "nn", nn_threads=2)
    detect(hazards, view(0))
    assert threads_of(granting.workers()[tenant]) == alone + 1


def threads_of(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def test_the_command_brings_a_model(
    granting: RunningEdge, granted: EdgeClient, tenant: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(granting.token(tenant))
    model = tmp_path / "any.onnx"
    model.write_bytes(MODEL)
    command = [sys.executable, "-m", "lawow", "upload", str(model), "--model", "hazards"]
    options = ["--edge", granting.url, "--token-file", str(token)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=ROOT, check=True)
    digest = hashlib.sha256(MODEL).hexdigest()
    assert done.stdout == f"hazards  sha256:{digest}  {len(MODEL)} bytes\n"
    assert granted.models() == {"hazards": digest}
