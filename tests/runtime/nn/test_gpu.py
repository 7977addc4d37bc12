"""On a machine with a GPU: it computes what the CPU computes, and is what the report names.

Needs lawow, onnxruntime-gpu, numpy, pytest, wasmtime and no other package. Skipped where no GPU takes a node.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

numpy = pytest.importorskip("numpy", reason="ONNX Runtime is not installed: pip install 'lawow[nn]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="not installed: pip install 'lawow[nn]'")

from lawow.formats.elements import Packed  # noqa: E402
from lawow.formats.signature import parse_typed_signature  # noqa: E402
from lawow.runtime.grants import Grants  # noqa: E402
from lawow.runtime.lowering import TypedCaller  # noqa: E402
from lawow.runtime.nn.grant import InferenceGrant  # noqa: E402
from lawow.runtime.nn.models import open_model  # noqa: E402
from lawow.runtime.nn.onnx_runtime import CPU, GPU, gpu_problem  # noqa: E402
from lawow.runtime.profiles import EXEC_PROFILE  # noqa: E402
from lawow.runtime.wasmtime_engine import WasmtimeEngine  # noqa: E402
from tests.runtime.nn.builders import DETECTOR, EDGES, F32, OK, guest, picture  # noqa: E402

GPU_TARGET = 1
IMAGE = numpy.random.default_rng(2).random((1, 1, 512, 512), numpy.float32)


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    problem = gpu_problem()
    if problem:
        pytest.skip(f"no CUDA device here: {problem}")


def test_the_gpu_computes_what_the_cpu_computes() -> None:
    found = {device: open_model("edges", EDGES.read_bytes(), device) for device in ("cpu", "gpu")}
    cpu, gpu = (found[device].run({"image": IMAGE}) for device in ("cpu", "gpu"))
    assert (found["cpu"].use.device, found["gpu"].use.device) == ("cpu", "gpu")
    numpy.testing.assert_allclose(cpu[0], gpu[0], rtol=1e-5, atol=1e-5)
    assert found["cpu"].use.nodes == {CPU: 6}
    assert found["gpu"].use.nodes[GPU] >= 1


def test_auto_is_the_gpu_where_there_is_one() -> None:
    use = open_model("edges", EDGES.read_bytes(), "auto").use
    assert (use.asked, use.device, use.note) == ("auto", "gpu", "")


@pytest.mark.parametrize(("device", "target"), [(None, GPU_TARGET), ("gpu", 0), ("auto", 0)])
def test_a_guest_runs_on_the_gpu_and_the_report_says_so(device: str | None, target: int) -> None:
    granted = InferenceGrant({}, device)
    with guest(granted) as caller:
        code, graph = caller.load(EDGES.read_bytes(), target=target)
        assert code == OK
        code, context = caller.result("init_execution_context", graph)
        assert code == OK
        assert caller.set_input(context, 0, list(IMAGE.shape), F32, IMAGE.tobytes()) == OK
        assert caller.call("compute", context) == OK
        code, strength = caller.get_output(context, 0)
    expected = open_model("edges", EDGES.read_bytes(), "cpu").run({"image": IMAGE})[0]
    numpy.testing.assert_allclose(
        numpy.frombuffer(strength, "float32"), numpy.ravel(expected), rtol=1e-5, atol=1e-5
    )
    (use,) = granted.report.models
    assert (use.device, use.runs, granted.report.refusals) == ("gpu", 1, [])
    assert use.nodes[GPU] >= 1


def test_the_profiler_saw_the_gpu(tmp_path: Path) -> None:
    """A judge beside the report: the library's own events of a run with the same providers."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "run")
    session = onnxruntime.InferenceSession(EDGES.read_bytes(), options, providers=[GPU, CPU])
    session.run(None, {"image": IMAGE})
    events = json.loads(Path(session.end_profiling()).read_text())
    providers = {item["args"]["provider"] for item in events if "provider" in item.get("args", {})}
    nodes = open_model("edges", EDGES.read_bytes(), "gpu").use.nodes
    assert GPU in providers
    assert providers <= set(nodes) | {CPU}


def test_the_detector_finds_the_same_box_on_both() -> None:
    engine = WasmtimeEngine(EXEC_PROFILE)
    module = engine.compile(DETECTOR.read_bytes())
    image = picture(64, 48, (33, 17, 7, 7))
    signature = parse_typed_signature("[b>[i")
    boxes = []
    for device in ("cpu", "gpu"):
        granted = InferenceGrant({"edges": str(EDGES)}, device)
        with module.instantiate(grants=Grants(functions=granted.functions)) as instance:
            caller = TypedCaller(instance, result_bytes=1 << 10)
            boxes.append(caller.call("detect", signature, [Packed(len(image), image)]).results)
        assert [use.device for use in granted.report.models] == [device]
    assert boxes[0] == boxes[1]
    engine.close()
