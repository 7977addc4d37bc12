"""Small ONNX models for the tests, sound and hostile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = helper.make_opsetid("", 17)
node = helper.make_node
value = helper.make_tensor_value_info
FLOATS = partial(value, elem_type=TensorProto.FLOAT)
MEMORY_MARKER = "*/_ORT_MEM_ADDR_/*"
"""Under this name ONNX Runtime itself keeps tensors that lie at an address of its process."""


def graph(
    nodes: Sequence[NodeProto],
    inputs: Sequence[object],
    outputs: Sequence[object],
    tensors: Sequence[TensorProto] = (),
) -> GraphProto:
    return helper.make_graph(list(nodes), "test", list(inputs), list(outputs), list(tensors))


def model(*parts: object, functions: Sequence[object] = ()) -> ModelProto:
    """Return a model of what `graph` takes."""
    opsets = [OPSET, helper.make_opsetid("own", 1)] if functions else [OPSET]
    made: ModelProto = helper.make_model(
        graph(*parts),  # type: ignore[arg-type]
        opset_imports=opsets,
        ir_version=8,
        functions=list(functions),
    )
    return made


def typed(kind: int) -> bytes:
    """Return a model whose one input and output of two elements have this type."""
    made = model([node("Identity", ["x"], ["y"])], [value("x", kind, [2])], [value("y", kind, [2])])
    return made.SerializeToString()


def adder() -> bytes:
    """Return a model that adds a matrix [rows, 3] and one number."""
    made = model(
        [node("Add", ["x", "one"], ["y"])],
        [FLOATS("x", shape=["rows", 3]), FLOATS("one", shape=[])],
        [FLOATS("y", shape=["rows", 3])],
    )
    return made.SerializeToString()


def chooser() -> bytes:
    """Return a model that fails when it runs, if it is asked for another element than 0 to 2."""
    made = model(
        [node("Gather", ["all", "index"], ["y"])],
        [value("index", TensorProto.INT64, [1])],
        [FLOATS("y", shape=[1])],
        [numpy_helper.from_array(numpy.arange(3, dtype=numpy.float32), "all")],
    )
    return made.SerializeToString()


def external_tensor(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def external_initializer(location: str) -> bytes:
    """Return a model that gives out what stands in a file."""
    made = model([node("Identity", ["w"], ["y"])], [], [FLOATS("y", shape=[4])], [external_tensor(location)])
    return made.SerializeToString()


def external_constant(location: str) -> bytes:
    """Return the same with the tensor in a node."""
    constant = node("Constant", [], ["y"], value=external_tensor(location))
    return model([constant], [], [FLOATS("y", shape=[4])]).SerializeToString()


def external_in_a_branch(location: str) -> bytes:
    """Return the same with the tensor two graphs deep."""
    branch = graph(
        [node("Identity", ["w"], ["z"])], [], [FLOATS("z", shape=[4])], [external_tensor(location)]
    )
    choice = node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    made = model([choice], [value("c", TensorProto.BOOL, [])], [FLOATS("y", shape=[4])])
    return made.SerializeToString()


def external_in_a_function(location: str) -> bytes:
    """Return the same with the tensor in a function of the model."""
    body = [node("Constant", [], ["y"], value=external_tensor(location))]
    function = helper.make_function("own", "f", [], ["y"], body, [OPSET])
    call = node("f", [], ["y"], domain="own")
    return model([call], [], [FLOATS("y", shape=[4])], functions=[function]).SerializeToString()


def sparse_initializer() -> bytes:
    """Return a model whose one stored element stands for 16 GiB."""
    values = numpy_helper.from_array(numpy.ones(1, numpy.float32), "w")
    places = numpy_helper.from_array(numpy.zeros(1, numpy.int64), "places")
    made = model([node("ReduceSum", ["w"], ["y"])], [], [FLOATS("y", shape=None)])
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1 << 32]))
    return made.SerializeToString()


def names_a_file() -> bytes:
    made = model(
        [
            node(
                "EPContext",
                ["x"],
                ["y"],
                domain="com.microsoft",
                ep_cache_context="/etc/passwd",
                embed_mode=0,
            )
        ],
        [FLOATS("x", shape=[1])],
        [FLOATS("y", shape=[1])],
    )
    return made.SerializeToString()


def doubling_functions(count: int, *, recursive: bool = False) -> bytes:
    """Return a model of `count` functions, each of which calls the next one twice."""
    functions = []
    for index in range(count):
        is_last = index == count - 1
        name, domain = ("Neg", "") if is_last and not recursive else (f"f{(index + 1) % count}", "own")
        body = [node(name, ["a"], ["b"], domain=domain), node(name, ["b"], ["c"], domain=domain)]
        opsets = [OPSET, helper.make_opsetid("own", 1)]
        functions.append(helper.make_function("own", f"f{index}", ["a"], ["c"], body, opsets))
    call = node("f0", ["x"], ["y"], domain="own")
    made = model([call], [FLOATS("x", shape=[1])], [FLOATS("y", shape=[1])], functions=functions)
    return made.SerializeToString()


def expanding(elements: int, *, constant: bool = False) -> bytes:
    """Return a model of 200 bytes that makes `elements` floats of one, when it runs or when it is loaded."""
    tensors = [numpy_helper.from_array(numpy.array([elements], numpy.int64), "shape")]
    if constant:
        tensors.append(numpy_helper.from_array(numpy.ones(1, numpy.float32), "x"))
    made = model(
        [node("Expand", ["x", "shape"], ["all"]), node("ReduceSum", ["all"], ["y"])],
        [] if constant else [FLOATS("x", shape=[1])],
        [FLOATS("y", shape=None)],
        tensors,
    )
    return made.SerializeToString()


def endless() -> bytes:
    """Return a model that adds one 2^62 times."""
    body = graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["n", "n"], ["next"])],
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), FLOATS("n", shape=[1])],
        [value("go_on", TensorProto.BOOL, []), FLOATS("next", shape=[1])],
    )
    tensors = [
        numpy_helper.from_array(numpy.array(1 << 62, numpy.int64), "times"),
        numpy_helper.from_array(numpy.array(True), "yes"),
    ]
    made = model(
        [node("Loop", ["times", "yes", "x"], ["y"], body=body)],
        [FLOATS("x", shape=[1])],
        [FLOATS("y", shape=[1])],
        tensors,
    )
    return made.SerializeToString()


def slow_to_load(multiplications: int) -> bytes:
    """Return a model of constants, which the library multiplies while it loads it: 0.1 s each, or more."""
    tensors = [
        numpy_helper.from_array(numpy.ones(1, numpy.float32), "one"),
        numpy_helper.from_array(numpy.array([2000, 2000], numpy.int64), "shape"),
    ]
    nodes = [node("Expand", ["one", "shape"], ["m0"])]
    nodes += [node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(multiplications)]
    nodes.append(node("ReduceSum", [f"m{multiplications}"], ["y"]))
    return model(nodes, [], [FLOATS("y", shape=None)], tensors).SerializeToString()


def nested(levels: int) -> bytes:
    """Return a model with a choice in a choice in a choice."""
    inner = graph([node("Identity", ["x"], ["o"])], [], [FLOATS("o", shape=[1])])
    for _ in range(levels):
        choice = node("If", ["c"], ["o"], then_branch=inner, else_branch=inner)
        del choice.attribute[1:]  # one branch is enough to be deep
        inner = graph([choice], [], [FLOATS("o", shape=[1])])
    inputs = [value("c", TensorProto.BOOL, []), FLOATS("x", shape=[1])]
    made: ModelProto = helper.make_model(
        graph(inner.node, inputs, inner.output), opset_imports=[OPSET], ir_version=8
    )
    return made.SerializeToString()


def strings() -> bytes:
    """Return a model whose input is text."""
    return typed(TensorProto.STRING)


def text_out() -> bytes:
    """Return a model that makes text of numbers."""
    made = model(
        [node("Cast", ["x"], ["y"], to=TensorProto.STRING)],
        [FLOATS("x", shape=[2])],
        [value("y", TensorProto.STRING, [2])],
    )
    return made.SerializeToString()
