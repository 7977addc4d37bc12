"""ONNX models, as far as one has to look before a stranger's model is given to a runtime.

A runtime checks operators and shapes by itself. What it does not check on our behalf is refused here:

- tensors that lie in another file (or, by a runtime's own marker, at an address): ONNX Runtime reads them
  from below the working directory, even if the model itself came from memory;
- nodes that name a file (``EPContext``);
- sparse tensors, whose few bytes stand for an array of any size;
- functions that expand to more nodes than the limit, or call themselves;
- messages nested deeper than `DEEPEST`, and what is no message at all.

Everything else of a model is passed over unread. Source: ``onnx.proto`` of ONNX 1.23, IR version 14.
"""

from __future__ import annotations

from collections import Counter

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.protobuf import WireField, read_fields

__all__ = ["DEEPEST", "MESSAGES", "require_self_contained_model"]

DEEPEST = 60
"""Messages in one another; Protocol Buffers' own limit is 100, and each subgraph takes three."""

MESSAGES = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "TensorProto": {},
}
"""Message -> field number -> message in it: all ways that lead to a node or a tensor."""

_IR_VERSION, _GRAPH = 1, 7  # of ModelProto
_OPERATOR, _NODE_DOMAIN = 4, 7
_FUNCTION_NAME, _FUNCTION_DOMAIN = 1, 10
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_READS_FILES = (b"EPContext",)

_Name = tuple[bytes, bytes]  # domain and operator


def require_self_contained_model(model: bytes, nodes: int) -> None:
    """Raise `FormatError` for what this module refuses, `LimitExceeded` for more than `nodes` nodes."""
    walk = _Walk(nodes)
    found = {item.number for item in read_fields(memoryview(model), 0, "ModelProto")}
    if not {_IR_VERSION, _GRAPH} <= found:
        raise FormatError("is no ONNX model", structure="ModelProto", allowed="an ir_version and a graph")
    walk.visit("ModelProto", memoryview(model), 0, 0, walk.main)
    walk.require_few_nodes()


class _Walk:
    """The nodes of a model's graph (`main`) and of each of its functions, by what they call."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit
        self.main: Counter[_Name] = Counter()
        self._functions: dict[_Name, Counter[_Name]] = {}

    def visit(self, kind: str, message: memoryview, offset: int, depth: int, called: Counter[_Name]) -> None:
        """Look through a message; nodes in it are counted in `called`."""
        if depth > DEEPEST:
            raise FormatError("messages are nested too deeply", structure=kind, allowed=DEEPEST)
        children = MESSAGES[kind]
        texts: dict[int, bytes] = {}
        for field in read_fields(message, offset, kind):
            child = children.get(field.number)
            if kind == "TensorProto":
                _require_own_data(field)
            elif child == "SparseTensorProto":
                raise FormatError("sparse tensors are not taken", structure=kind, offset=field.offset)
            elif field.content is None:
                continue
            elif child == "FunctionProto":
                self._visit_function(field.content, field.offset, depth)
            elif child is not None:
                self.visit(child, field.content, field.offset, depth + 1, called)
            elif kind == "NodeProto" and field.number in (_OPERATOR, _NODE_DOMAIN):
                texts[field.number] = bytes(field.content)
        if kind == "NodeProto":
            self._count(texts, offset, called)

    def _visit_function(self, message: memoryview, offset: int, depth: int) -> None:
        name = {
            item.number: bytes(item.content)
            for item in read_fields(message, offset, "FunctionProto")
            if item.number in (_FUNCTION_NAME, _FUNCTION_DOMAIN) and item.content is not None
        }
        key = (_domain(name.get(_FUNCTION_DOMAIN, b"")), name.get(_FUNCTION_NAME, b""))
        called = self._functions.setdefault(key, Counter())  # overloads of one name are taken together
        self.visit("FunctionProto", message, offset, depth + 1, called)

    def _count(self, texts: dict[int, bytes], offset: int, called: Counter[_Name]) -> None:
        operator = texts.get(_OPERATOR, b"")
        if operator in _READS_FILES:
            raise FormatError("names a file", structure="NodeProto", offset=offset, found=operator.decode())
        self._left -= 1
        if self._left < 0:
            raise self._too_many()
        called[_domain(texts.get(_NODE_DOMAIN, b"")), operator] += 1

    def _too_many(self) -> LimitExceeded:
        return LimitExceeded("nodes", "more", self._limit, subject="the model, with its functions expanded")

    def require_few_nodes(self) -> None:
        """Raise if the nodes are too many when each call of a function stands for that function's nodes."""
        sizes: dict[_Name, int] = {}
        pending = [(name, False) for name in self._functions]
        open_calls: set[_Name] = set()
        while pending:
            name, is_done = pending.pop()
            if is_done:
                open_calls.discard(name)
                sizes[name] = self._size(self._functions[name], sizes)
            elif name not in sizes:
                if name in open_calls:
                    raise FormatError(
                        "a function calls itself", structure="FunctionProto", found=repr(name[1])
                    )
                open_calls.add(name)
                pending.append((name, True))
                pending += [(item, False) for item in self._functions[name] if item in self._functions]
        total = self._size(self.main, sizes)
        if total > self._limit:
            raise self._too_many()

    def _size(self, called: Counter[_Name], sizes: dict[_Name, int]) -> int:
        """Return the nodes that a graph stands for; no larger number than tells that they are too many."""
        total = sum(count * sizes.get(name, 1) for name, count in called.items())
        return min(total, self._limit + 1)


def _domain(name: bytes) -> bytes:
    """Return the domain by which a runtime knows it: the standard's own has two names."""
    return b"" if name == b"ai.onnx" else name


def _require_own_data(field: WireField) -> None:
    """Refuse a tensor whose data is not in the model."""
    if field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.bits):
        raise FormatError(
            "a tensor's data lies outside of the model",
            structure="TensorProto",
            offset=field.offset,
            allowed="tensors inside; onnx.save(model, path, save_as_external_data=False) puts them there",
        )
