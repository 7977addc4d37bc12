"""wasi-nn for a guest: the results are ONNX Runtime's, and everything done wrong is an error code."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy
import onnxruntime
import pytest
from onnx import TensorProto

from lawow.runtime.nn.grant import InferenceGrant
from tests.runtime.nn import models as samples
from tests.runtime.nn.builders import (
    BUSY,
    DATA,
    DIMENSIONS,
    EDGES,
    F16,
    F32,
    F64,
    I32,
    I64,
    INVALID_ARGUMENT,
    INVALID_ENCODING,
    MEMORY_BYTES,
    MISSING_MEMORY,
    NOT_FOUND,
    OK,
    RECORD,
    RESULT,
    RUNTIME_ERROR,
    TOO_LARGE,
    U8,
    UNSUPPORTED,
    Guest,
    guest,
    proxy,
)

IMAGE = numpy.random.default_rng(1).random((1, 1, 24, 40), numpy.float32)
SHAPE = list(IMAGE.shape)


@pytest.fixture
def granted() -> InferenceGrant:
    return InferenceGrant({"edges": str(EDGES)})


@pytest.fixture
def caller(granted: InferenceGrant) -> Iterator[Guest]:
    with guest(granted) as made:
        yield made


def judge(model: bytes, *inputs: object) -> list[numpy.ndarray]:
    """Return what ONNX Runtime's own package answers."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    found: list[numpy.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def limit(granted: InferenceGrant, **values: int) -> None:
    """Lower limits of a grant."""
    granted.limits = dataclasses.replace(granted.limits, **values)


def refusal(granted: InferenceGrant) -> str:
    return granted.report.refusals[-1]


# ---- results


@pytest.mark.parametrize("by_name", [True, False])
def test_results_are_those_of_the_library_itself(caller: Guest, by_name: bool) -> None:
    code, graph = caller.load_by_name(b"edges") if by_name else caller.load(EDGES.read_bytes())
    assert code == OK
    code, context = caller.result("init_execution_context", graph)
    assert code == OK
    assert caller.set_input(context, 0, SHAPE, F32, IMAGE.tobytes()) == OK
    assert caller.call("compute", context) == OK
    strength, cell = judge(EDGES.read_bytes(), IMAGE)
    assert caller.get_output(context, 0) == (OK, strength.tobytes())
    assert caller.get_output(context, 1) == (OK, cell.tobytes())


@pytest.mark.parametrize(
    ("kind", "onnx_kind", "dtype"),
    [
        (F16, TensorProto.FLOAT16, "float16"),
        (F32, TensorProto.FLOAT, "float32"),
        (F64, TensorProto.DOUBLE, "float64"),
        (U8, TensorProto.UINT8, "uint8"),
        (I32, TensorProto.INT32, "int32"),
        (I64, TensorProto.INT64, "int64"),
    ],
)
def test_every_type_of_elements_goes_in_and_comes_out(
    caller: Guest, kind: int, onnx_kind: int, dtype: str
) -> None:
    data = numpy.array([3, 200], dtype).tobytes()
    context = caller.context_of(samples.typed(onnx_kind))
    assert caller.set_input(context, 0, [2], kind, data) == OK
    assert caller.call("compute", context) == OK
    assert caller.get_output(context, 0) == (OK, data)
    wrong = (kind + 1) % 6
    assert caller.set_input(context, 0, [0], wrong, b"") == INVALID_ARGUMENT


def test_a_single_value_is_a_tensor_of_one(caller: Guest) -> None:
    """The interface has no other word for it, where a model's input may have no dimensions."""
    context = caller.context_of(samples.adder())
    matrix = numpy.arange(6, dtype=numpy.float32)
    for shape in ([1], []):
        assert caller.set_input(context, 0, [2, 3], F32, matrix.tobytes()) == OK
        assert caller.set_input(context, 1, shape, F32, struct.pack("<f", 0.5)) == OK
        assert caller.call("compute", context) == OK
        assert caller.get_output(context, 0) == (OK, (matrix + 0.5).astype(numpy.float32).tobytes())


def test_a_tensor_without_elements_stays_one(caller: Guest) -> None:
    context = caller.context_of(samples.adder())
    assert caller.set_input(context, 0, [0, 3], F32, b"") == OK
    assert caller.set_input(context, 1, [1], F32, bytes(4)) == OK
    assert caller.call("compute", context) == OK
    assert caller.get_output(context, 0) == (OK, b"")


def test_contexts_of_one_graph_do_not_mix(caller: Guest) -> None:
    _, graph = caller.load_by_name(b"edges")
    contexts = [caller.result("init_execution_context", graph)[1] for _ in range(3)]
    images = [numpy.roll(IMAGE, 8 * turn, axis=3) for turn in range(3)]
    for context, image in zip(contexts, images, strict=True):
        assert caller.set_input(context, 0, SHAPE, F32, image.tobytes()) == OK
    for context in reversed(contexts):
        assert caller.call("compute", context) == OK
    for context, image in zip(contexts, images, strict=True):
        assert caller.get_output(context, 0) == (OK, judge(EDGES.read_bytes(), image)[0].tobytes())


def test_a_context_can_be_used_again_with_another_shape(caller: Guest) -> None:
    context = caller.context_of(EDGES.read_bytes())
    for image in (IMAGE, IMAGE[:, :, :8, :16].copy()):
        assert caller.set_input(context, 0, list(image.shape), F32, image.tobytes()) == OK
        assert caller.call("compute", context) == OK
        assert caller.get_output(context, 0) == (OK, judge(EDGES.read_bytes(), image)[0].tobytes())


# ---- handles


@pytest.mark.parametrize("handle", [0, 1, 7, -1, 1 << 31])
def test_a_handle_that_was_not_given_is_refused(caller: Guest, handle: int) -> None:
    assert caller.result("init_execution_context", handle)[0] == INVALID_ARGUMENT
    assert caller.set_input(handle, 0, [1], F32, bytes(4)) == INVALID_ARGUMENT
    assert caller.call("compute", handle) == INVALID_ARGUMENT
    assert caller.get_output(handle, 0)[0] == INVALID_ARGUMENT


def test_an_instance_reaches_no_graph_or_context_of_another(granted: InferenceGrant) -> None:
    """Neither of one that lives beside it, nor of one that is gone."""
    with guest(granted) as first:
        context = first.context_of(EDGES.read_bytes())
        first.set_input(context, 0, SHAPE, F32, IMAGE.tobytes())
        first.call("compute", context)
        with guest(granted) as other:
            assert other.result("init_execution_context", 0)[0] == INVALID_ARGUMENT
            assert other.get_output(context, 0)[0] == INVALID_ARGUMENT
        assert first.get_output(context, 0)[0] == OK
    with guest(granted) as later:
        assert later.call("compute", context) == INVALID_ARGUMENT


# ---- misuse


@pytest.mark.parametrize(
    ("index", "shape", "kind", "count", "code"),
    [
        (1, SHAPE, F32, 960, INVALID_ARGUMENT),  # no such input
        (-1, SHAPE, F32, 960, INVALID_ARGUMENT),
        (0, SHAPE, F64, 480, INVALID_ARGUMENT),  # bytes do not fit the type
        (0, [1, 1, 24, 41], F32, 960, INVALID_ARGUMENT),  # nor the shape
        (0, [1, 1, 24], F32, 24, INVALID_ARGUMENT),  # too few dimensions
        (0, [], F32, 1, INVALID_ARGUMENT),
        (0, [1, 2, 24, 20], F32, 960, INVALID_ARGUMENT),  # a fixed dimension
        (0, SHAPE, 6, 960, INVALID_ARGUMENT),  # no such type
        (0, SHAPE, 255, 960, INVALID_ARGUMENT),
        (0, [1] * 17, F32, 1, TOO_LARGE),
        (0, [0xFFFFFFFF] * 4, F32, 0, INVALID_ARGUMENT),
        (0, [1 << 16, 1 << 16, 1 << 16, 1 << 16], F32, 0, INVALID_ARGUMENT),  # 2^64 elements
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    caller: Guest, index: int, shape: list[int], kind: int, count: int, code: int
) -> None:
    context = caller.context_of(EDGES.read_bytes())
    assert caller.set_input(context, index, shape, kind, bytes(4 * count)) == code
    assert caller.call("compute", context) == RUNTIME_ERROR  # nothing has been set


def test_the_refusal_names_found_and_allowed(caller: Guest, granted: InferenceGrant) -> None:
    context = caller.context_of(EDGES.read_bytes())
    caller.set_input(context, 0, [1, 3, 2, 1], F32, bytes(24))
    assert "has the shape [1, 1, 'height', 'width'], [1, 3, 2, 1] was given" in refusal(granted)
    caller.set_input(context, 0, [2], F64, bytes(16))
    assert "holds f32, f64 was given (invalid_argument)" in refusal(granted)
    assert refusal(granted).startswith("nn: set_input: input 0 of a model of the guest, sha256 a82fefcf1de3")


def test_outputs_before_a_run_and_beyond_the_last_are_refused(caller: Guest) -> None:
    context = caller.context_of(EDGES.read_bytes())
    assert caller.get_output(context, 0)[0] == RUNTIME_ERROR
    caller.set_input(context, 0, SHAPE, F32, IMAGE.tobytes())
    caller.call("compute", context)
    assert caller.get_output(context, 2)[0] == INVALID_ARGUMENT
    assert caller.get_output(context, -1)[0] == INVALID_ARGUMENT


def test_a_failed_run_leaves_no_output_of_the_run_before(caller: Guest) -> None:
    context = caller.context_of(samples.chooser())
    for index, code in ((1, OK), (7, RUNTIME_ERROR)):
        caller.set_input(context, 0, [1], I64, struct.pack("<q", index))
        assert caller.call("compute", context) == code
    assert caller.get_output(context, 0)[0] == RUNTIME_ERROR


def test_a_buffer_that_is_too_small_is_left_alone(caller: Guest) -> None:
    context = caller.context_of(EDGES.read_bytes())
    caller.set_input(context, 0, SHAPE, F32, IMAGE.tobytes())
    caller.call("compute", context)
    caller.instance.write_memory(DATA, b"before")
    caller.instance.write_memory(RESULT, b"none")
    for size in (0, 7):
        assert caller.call("get_output", context, 1, DATA, size, RESULT) == TOO_LARGE
    assert caller.instance.read_memory(DATA, 6) == b"before"
    assert caller.instance.read_memory(RESULT, 4) == b"none"
    assert caller.get_output(context, 1, 8)[0] == OK


U32 = (1 << 32) - 1
OUTSIDE = [MEMORY_BYTES, MEMORY_BYTES - 3, -1, 1 << 31, -4]


@pytest.mark.parametrize("place", OUTSIDE)
def test_pointers_out_of_the_memory_are_an_error_code(caller: Guest, place: int) -> None:
    model = EDGES.read_bytes()
    caller.load(model)
    assert caller.call("load", place, 1, 1, 0, RESULT) == INVALID_ARGUMENT
    assert caller.call("load", RECORD, 1, 1, 0, place) == INVALID_ARGUMENT
    caller.instance.write_memory(RECORD, struct.pack("<II", place & U32, len(model)))
    assert caller.call("load", RECORD, 1, 1, 0, RESULT) == INVALID_ARGUMENT
    assert caller.call("load_by_name", place, 5, RESULT) == INVALID_ARGUMENT
    assert caller.call("init_execution_context", 0, place) == INVALID_ARGUMENT
    code, context = caller.result("init_execution_context", 0)
    assert code == OK
    assert caller.call("set_input", context, 0, place) == INVALID_ARGUMENT
    for dimensions, data in ((place & U32, DATA), (DIMENSIONS, place & U32)):
        caller.instance.write_memory(DIMENSIONS, struct.pack("<4I", 1, 1, 8, 8))
        caller.instance.write_memory(RECORD, struct.pack("<IIBxxxII", dimensions, 4, F32, data, 256))
        assert caller.call("set_input", context, 0, RECORD) == INVALID_ARGUMENT
    assert caller.set_input(context, 0, SHAPE, F32, IMAGE.tobytes()) == OK
    assert caller.call("compute", context) == OK
    assert caller.call("get_output", context, 0, place, 1 << 20, RESULT) == INVALID_ARGUMENT
    assert caller.call("get_output", context, 0, DATA, 1 << 20, place) == INVALID_ARGUMENT
    assert caller.get_output(context, 0)[0] == OK


def test_a_graph_whose_handle_cannot_be_told_is_not_made(caller: Guest) -> None:
    caller.load(EDGES.read_bytes())
    for _ in range(100):
        caller.call("load_by_name", DATA, 5, MEMORY_BYTES)
    assert caller.load(EDGES.read_bytes()) == (OK, 1)


def test_a_guest_without_a_memory_gets_the_code_for_it(granted: InferenceGrant) -> None:
    with guest(granted, proxy("(memory 1)")) as caller:
        assert caller.call("load", 0, 1, 1, 0, 0) == MISSING_MEMORY
        assert caller.call("set_input", 0, 0, 0) == INVALID_ARGUMENT  # the handle comes first


@pytest.mark.parametrize(
    ("encoding", "target", "code"),
    [
        (0, 0, INVALID_ENCODING),  # OpenVINO
        (2, 0, INVALID_ENCODING),
        (4, 0, INVALID_ENCODING),
        (5, 0, OK),  # to be found out
        (6, 0, INVALID_ARGUMENT),
        (-1, 0, INVALID_ARGUMENT),
        (1, 2, UNSUPPORTED),  # TPU
        (1, 3, OK),  # any
        (1, 4, INVALID_ARGUMENT),
        (1, -1, INVALID_ARGUMENT),
    ],
)
def test_encodings_and_targets(caller: Guest, encoding: int, target: int, code: int) -> None:
    assert caller.load(EDGES.read_bytes(), encoding, target)[0] == code


@pytest.mark.parametrize("parts", [0, 2, -1, 1 << 30])
def test_an_onnx_model_comes_in_one_part(caller: Guest, parts: int) -> None:
    caller.load(EDGES.read_bytes())
    assert caller.call("load", RECORD, parts, 1, 0, RESULT) == INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("name", "code"),
    [(b"other", NOT_FOUND), (b"", NOT_FOUND), (b"edges\0", NOT_FOUND), (b"\xff", INVALID_ARGUMENT)],
)
def test_a_name_that_was_not_granted_is_not_found(caller: Guest, name: bytes, code: int) -> None:
    assert caller.load_by_name(name)[0] == code


@pytest.mark.parametrize("length", [257, -1, 1 << 30])
def test_a_name_that_is_too_long_is_not_read(caller: Guest, length: int) -> None:
    assert caller.call("load_by_name", 0, length, RESULT) == TOO_LARGE


def test_what_the_interface_has_no_word_for_is_unsupported(caller: Guest) -> None:
    context = caller.context_of(samples.strings())
    assert caller.set_input(context, 0, [2], U8, b"ab") == UNSUPPORTED
    context = caller.context_of(samples.text_out())
    assert caller.set_input(context, 0, [2], F32, bytes(8)) == OK
    assert caller.call("compute", context) == OK
    assert caller.get_output(context, 0)[0] == UNSUPPORTED


# ---- limits


def test_graphs_and_contexts_are_few(caller: Guest) -> None:
    for index in range(16):
        assert caller.load_by_name(b"edges") == (OK, index)
    assert caller.load_by_name(b"edges")[0] == BUSY
    assert caller.load(EDGES.read_bytes())[0] == BUSY
    for index in range(64):
        assert caller.result("init_execution_context", 0) == (OK, index)
    assert caller.result("init_execution_context", 0)[0] == BUSY


def test_models_of_the_guest_share_their_limit(caller: Guest, granted: InferenceGrant) -> None:
    data = EDGES.read_bytes()
    limit(granted, model_bytes=2 * len(data) + 1)
    assert [caller.load(data)[0] for _ in range(3)] == [OK, OK, TOO_LARGE]
    assert caller.load_by_name(b"edges")[0] == OK


def test_a_named_model_that_is_too_large_is_not_read(caller: Guest, granted: InferenceGrant) -> None:
    limit(granted, model_bytes=EDGES.stat().st_size - 1)
    assert caller.load_by_name(b"edges")[0] == TOO_LARGE


def test_a_tensor_that_is_too_large_is_not_copied(caller: Guest, granted: InferenceGrant) -> None:
    context = caller.context_of(EDGES.read_bytes())
    limit(granted, tensor_bytes=IMAGE.nbytes - 1)
    assert caller.set_input(context, 0, SHAPE, F32, IMAGE.tobytes()) == TOO_LARGE
    huge = struct.pack("<IIBxxxII", DIMENSIONS, 4, F32, DATA, 0xFFFFFFFC)
    caller.instance.write_memory(DIMENSIONS, struct.pack("<4I", 1, 1, 1, 0x3FFFFFFF))
    caller.instance.write_memory(RECORD, huge)
    assert caller.call("set_input", context, 0, RECORD) == TOO_LARGE


def test_what_all_contexts_of_an_instance_hold_is_limited(caller: Guest, granted: InferenceGrant) -> None:
    _, graph = caller.load_by_name(b"edges")
    contexts = [caller.result("init_execution_context", graph)[1] for _ in range(2)]
    limit(granted, held_bytes=IMAGE.nbytes + 50)
    assert caller.set_input(contexts[0], 0, SHAPE, F32, IMAGE.tobytes()) == OK
    assert caller.set_input(contexts[0], 0, SHAPE, F32, IMAGE.tobytes()) == OK  # in place of the first
    assert caller.set_input(contexts[1], 0, SHAPE, F32, IMAGE.tobytes()) == TOO_LARGE
    assert caller.call("compute", contexts[0]) == TOO_LARGE  # 60 bytes of strengths, 8 of the cell
    assert caller.get_output(contexts[0], 0)[0] == RUNTIME_ERROR


def test_what_all_instances_hold_is_limited_together_until_they_end(granted: InferenceGrant) -> None:
    limit(granted, held_bytes=IMAGE.nbytes)
    with guest(granted) as first:
        context = first.context_of(EDGES.read_bytes())
        assert first.set_input(context, 0, SHAPE, F32, IMAGE.tobytes()) == OK
        with guest(granted) as second:
            context = second.context_of(EDGES.read_bytes())
            assert second.set_input(context, 0, SHAPE, F32, IMAGE.tobytes()) == TOO_LARGE
    with guest(granted) as third:
        context = third.context_of(EDGES.read_bytes())
        assert third.set_input(context, 0, SHAPE, F32, IMAGE.tobytes()) == OK


def test_a_name_can_be_given_to_another_model_or_to_none(caller: Guest, granted: InferenceGrant) -> None:
    assert caller.load_by_name(b"edges") == (OK, 0)
    granted.put("edges", lambda limits: samples.typed(TensorProto.FLOAT))
    assert caller.load_by_name(b"edges") == (OK, 1)
    _, old = caller.result("init_execution_context", 0)
    _, new = caller.result("init_execution_context", 1)
    assert caller.set_input(old, 0, SHAPE, F32, IMAGE.tobytes()) == OK  # what was loaded stays what it was
    assert caller.set_input(new, 0, SHAPE, F32, IMAGE.tobytes()) == INVALID_ARGUMENT
    granted.put("edges", None)
    assert caller.load_by_name(b"edges")[0] == NOT_FOUND


# ---- the report


def test_the_report_counts_runs_over_all_instances(granted: InferenceGrant) -> None:
    for _ in range(3):
        with guest(granted) as caller:
            for model in (b"edges", EDGES.read_bytes()):
                _, graph = caller.load_by_name(model) if model == b"edges" else caller.load(model)
                _, context = caller.result("init_execution_context", graph)
                caller.set_input(context, 0, SHAPE, F32, IMAGE.tobytes())
                caller.call("compute", context)
    found = [(use.name, use.asked, use.device, use.runs) for use in granted.report.models]
    own = "a model of the guest, sha256 a82fefcf1de3"
    assert found == [("edges", "auto", "cpu", 3), (own, "cpu", "cpu", 3)]


def test_what_a_guest_repeats_is_reported_once(caller: Guest, granted: InferenceGrant) -> None:
    for turn in range(200):
        caller.call("compute", turn % 2)
        caller.load_by_name(b"%d" % turn)
    assert len(granted.report.refusals) == 20
    assert granted.report.refusals[0] == "nn: compute: there is no context 0 (invalid_argument)"


def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with guest(InferenceGrant({"gone": str(tmp_path / "gone.onnx")})) as caller:
        assert caller.load_by_name(b"gone")[0] == NOT_FOUND
