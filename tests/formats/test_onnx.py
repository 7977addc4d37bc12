"""A model is looked through before a runtime gets it; what reaches beyond the model is refused everywhere."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from google.protobuf.descriptor import Descriptor

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.onnx import DEEPEST, MESSAGES, require_self_contained_model
from lawow.formats.protobuf import encode_field, read_fields
from tests.runtime.nn import models
from tests.runtime.nn.builders import EDGES

NODES = 1000
PLACES = [
    models.external_initializer,
    models.external_constant,
    models.external_in_a_branch,
    models.external_in_a_function,
]


@pytest.mark.parametrize("build", PLACES)
@pytest.mark.parametrize("location", ["weights.bin", "../x", "/etc/passwd", models.MEMORY_MARKER, ""])
def test_a_tensor_in_another_file_is_refused(build: Callable[[str], bytes], location: str) -> None:
    with pytest.raises(FormatError, match="outside of the model"):
        require_self_contained_model(build(location), NODES)


@pytest.mark.parametrize("bits", [1, 2, 1 << 31, (1 << 32) + 1, (1 << 64) - 1])
def test_any_location_but_the_model_itself_is_refused(bits: int) -> None:
    """A runtime takes the low 32 bits; here every bit counts."""
    tensor = encode_field(14, bits)
    graph = encode_field(5, tensor)
    with pytest.raises(FormatError, match="outside of the model"):
        require_self_contained_model(encode_field(1, 8) + encode_field(7, graph), NODES)


def test_the_ways_to_a_tensor_are_those_of_the_definition() -> None:
    """Every message that can hold a tensor or a node, as the onnx package has it, is looked into."""
    types = onnx.onnx_ml_pb2.DESCRIPTOR.message_types_by_name

    def leads_to_a_tensor(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
        if message.name in ("TensorProto", "NodeProto"):
            return True
        inner = [field.message_type for field in message.fields if field.message_type is not None]
        return any(leads_to_a_tensor(item, seen | {message.name}) for item in inner if item.name not in seen)

    for name, children in MESSAGES.items():
        expected = {
            field.number: field.message_type.name
            for field in types[name].fields
            if field.message_type is not None and leads_to_a_tensor(field.message_type)
        }
        assert children == expected, name


def test_a_sound_model_passes() -> None:
    require_self_contained_model(EDGES.read_bytes(), 6)


def test_more_nodes_than_the_limit_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="nodes is more, the limit is 5"):
        require_self_contained_model(EDGES.read_bytes(), 5)


@pytest.mark.parametrize(("functions", "fits"), [(8, True), (9, True), (10, False), (200, False)])
def test_functions_count_as_what_they_expand_to(functions: int, fits: bool) -> None:
    """A chain of n functions that call the next one twice stands for 2^n nodes."""
    data = models.doubling_functions(functions)
    if fits:
        require_self_contained_model(data, 2**9)
    else:
        with pytest.raises(LimitExceeded, match="functions expanded"):
            require_self_contained_model(data, 2**9)


def test_a_function_that_calls_itself_is_refused() -> None:
    with pytest.raises(FormatError, match="calls itself"):
        require_self_contained_model(models.doubling_functions(3, recursive=True), NODES)


def test_the_two_names_of_the_standard_domain_are_one() -> None:
    call = encode_field(4, b"f") + encode_field(7, b"ai.onnx")
    function = encode_field(1, b"f") + encode_field(7, call)
    data = encode_field(1, 8) + encode_field(7, encode_field(1, call)) + encode_field(25, function)
    with pytest.raises(FormatError, match="calls itself"):
        require_self_contained_model(data, NODES)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (models.sparse_initializer(), "sparse tensors"),
        (models.names_a_file(), "names a file"),
        (models.nested(DEEPEST // 3 + 1), "nested too deeply"),
        (b"", "is no ONNX model"),
        (encode_field(1, 8), "is no ONNX model"),
        (b"\0asm\1\0\0\0", "is no field"),
        (b"ORTM" * 100, "is no field"),
    ],
)
def test_what_else_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        require_self_contained_model(data, NODES)


def test_a_choice_in_a_choice_is_fine() -> None:
    require_self_contained_model(models.nested(DEEPEST // 3 - 2), NODES)


def test_every_truncation_is_refused_or_a_smaller_model() -> None:
    data = EDGES.read_bytes()
    for length in range(len(data)):
        try:
            require_self_contained_model(data[:length], NODES)
        except FormatError:
            continue
        onnx.load_from_string(data[:length])  # the official parser must take it, too


def test_fields_are_those_that_the_official_parser_sees() -> None:
    data = EDGES.read_bytes()
    model = onnx.load_from_string(data)
    seen = [item.number for item in read_fields(memoryview(data))]
    assert sorted(set(seen)) == sorted(field.number for field, _ in model.ListFields())
    assert [bytes(item.content or b"") for item in read_fields(memoryview(data)) if item.number == 2] == [
        model.producer_name.encode()
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\x0b",  # a group
        b"\x0c",
        b"\x0e",  # a wire type that does not exist
        b"\x00\x00",  # field 0
        b"\x0a\x05abcd",  # longer than the message
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x09abcdefg",
        b"\x0dabc",
        b"\x08" + b"\xff" * 10,
        b"\xff" * 6,
    ],
)
def test_what_is_no_field_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(read_fields(memoryview(data)))
