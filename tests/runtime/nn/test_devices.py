"""The report says where nodes really ran; a device that was asked for is used or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import onnxruntime
import pytest

from lawow.execution.inference import InferenceFacts, describe_inference
from lawow.runtime.nn import models, onnx_runtime
from lawow.runtime.nn.abi import ErrorCode, NnError
from lawow.runtime.nn.grant import InferenceGrant
from lawow.runtime.nn.models import Model, open_model
from lawow.runtime.nn.onnx_runtime import CPU, GPU
from tests.runtime.nn.builders import EDGES, OK, UNSUPPORTED, guest

GPU_TARGET, AUTO_TARGET = 1, 3
NO_GPU = "there is none, for this test"


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on every machine."""
    monkeypatch.setattr(models, "gpu_problem", lambda: NO_GPU)


def test_the_report_agrees_with_the_profiler(tmp_path: Path) -> None:
    """The library's profiler writes one event with a provider for each node that ran."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "run")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(EDGES.read_bytes(), options, providers=[CPU])
    session.run(None, {"image": numpy.zeros((1, 1, 16, 16), numpy.float32)})
    events = json.loads(Path(session.end_profiling()).read_text())
    providers = [item["args"]["provider"] for item in events if "provider" in item.get("args", {})]
    assert open_model("edges", EDGES.read_bytes(), "cpu").use.nodes == {CPU: len(providers)} == {CPU: 6}
    assert set(providers) == {CPU}


@pytest.mark.parametrize(
    ("target", "device", "code", "used"),
    [
        (GPU_TARGET, None, UNSUPPORTED, None),
        (GPU_TARGET, "cpu", OK, "cpu"),
        (GPU_TARGET, "auto", OK, "cpu"),
        (0, None, OK, "cpu"),
        (0, "gpu", UNSUPPORTED, None),
        (AUTO_TARGET, None, OK, "cpu"),
    ],
)
def test_without_a_gpu(
    without_gpu: None, target: int, device: str | None, code: int, used: str | None
) -> None:
    """The user's word counts before the guest's; only ``auto`` takes another device than was asked for."""
    granted = InferenceGrant({}, device)
    with guest(granted) as caller:
        assert caller.load(EDGES.read_bytes(), target=target)[0] == code
    assert [use.device for use in granted.report.models] == ([used] if used else [])
    sentences = granted.report.refusals + [use.note for use in granted.report.models if use.asked == "auto"]
    assert all(NO_GPU in text for text in sentences)
    assert bool(sentences) == (used is None or "auto" in (device, granted.report.models[0].asked))


def test_a_gpu_that_takes_no_node_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of CUDA on this CPU: the providers that were asked for are not what counts."""
    monkeypatch.setattr(models, "gpu_problem", lambda: "")
    on_cpu = onnx_runtime.open_session
    monkeypatch.setattr(models, "open_session", lambda data, gpu, threads: on_cpu(data, gpu=False))
    with pytest.raises(NnError, match=f"{GPU} takes none of its nodes") as caught:
        open_model("edges", EDGES.read_bytes(), "gpu")
    assert caught.value.code == ErrorCode.UNSUPPORTED_OPERATION
    assert open_model("edges", EDGES.read_bytes(), "auto").use.device == "cpu"


def test_nodes_on_both_devices_count_as_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "nodes_of", lambda session: {CPU: 5, GPU: 1})
    use = Model("edges", "gpu", onnx_runtime.open_session(EDGES.read_bytes(), gpu=False)).use
    assert (use.device, use.nodes) == ("gpu", {CPU: 5, GPU: 1})
    assert use.line().startswith(f"nn: edges: gpu (5 nodes on {CPU}, 1 nodes on {GPU}), 0 runs in")


def test_what_is_here_is_described_by_a_run_not_by_a_list() -> None:
    facts = describe_inference()
    assert (facts.version, facts.problem) == (onnxruntime.__version__, "")
    assert list(facts.providers) == onnxruntime.get_available_providers()
    assert facts.document()["devices"] == (["cpu"] if facts.gpu_problem else ["cpu", "gpu"])
    if GPU not in facts.providers:
        assert f"has no {GPU}" in facts.gpu_problem


def test_without_the_library_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "is_installed", lambda: False)
    facts = describe_inference()
    assert "pip install 'lawow[nn]'" in facts.problem
    assert facts.document()["devices"] == []
    assert facts.lines() == [f"nn  not usable  {facts.problem}"]
    assert InferenceFacts(version="1").document()["devices"] == ["cpu", "gpu"]
