"""Object graphs between Java and a module: arrays of arrays, objects, and whatever they share.

A method that takes or gives more than numbers, strings and plain arrays gets all its references in one list
of bytes, and answers with one. The list that goes in is memory as the module lays it out, but for references,
which are offsets from its beginning (0 is null)::

    in      u32 number of roots, u32 0, u32 root ..., nodes, each at a multiple of 8
    node    u32 length, u32 word of its type (`lawow.dalvik.words`), elements or fields
    out     u64 result (a number's bits, or a reference), u64 0, records, each at a multiple of 8
    record  u32 which, u32 0, node: what may have changed of the nodes that went in, and what is new

Below the size of the list that went in, `which` is the offset of a node there; all other nodes are new. What
can't be made outside (objects of the app's classes) or is not the module's to give (constant tables and
strings, which are one object each in Java) makes it trap: the caller's original then runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lawow.dalvik.api import ExportedMethod, Graph, GraphField, GraphType
from lawow.dalvik.effects import Effects
from lawow.dalvik.ir import Obstacle
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.runtime import HEAD_BYTES, HEAP
from lawow.dalvik.unit import ModuleUnit
from lawow.dalvik.wat import Function
from lawow.dalvik.words import ALL_REFERENCES, IS_OBJECT, IS_WRITTEN, STRING
from lawow.formats.bytes import align_up

__all__ = ["GRAPH_FUNCTIONS", "crosses_alone", "first_node", "graph_of", "shape_of"]

_MOVED = -1
"""The word of a node that went out: its length is where it went."""
_PRIMITIVES = tuple("ZBCSIFJD")

_SIZE = "i64.load32_u local.get $word i32.const 3 i32.and i64.extend_i32_u i64.shl "
_ROUNDED = f"i64.const {HEAD_BYTES + 7} i64.add i64.const -8 i64.and "
_COUNT_REFERENCES = f"""local.get $word i32.const 2 i32.shr_u i32.const {ALL_REFERENCES} i32.and
    local.tee $count i32.const {ALL_REFERENCES} i32.eq if local.get $node i32.load local.set $count end """
_STEP = "i32.const 1 local.get $word i32.const 3 i32.and i32.shl "

GRAPH_FUNCTIONS = (
    Function.of(
        "graph_relocate",
        "slot:i32 count:i32 step:i32 graph:i32 size:i32",
        "",
        """block loop local.get $count i32.eqz br_if 1
             local.get $slot i32.load if
               local.get $slot i32.load local.get $size i32.ge_u if unreachable end
               local.get $slot local.get $slot i32.load local.get $graph i32.add i32.store end
             local.get $slot local.get $step i32.add local.set $slot
             local.get $count i32.const 1 i32.sub local.set $count br 0 end end""",
    ),
    Function.of(
        "graph_in",
        "graph:i32 size:i32 first:i32 roots:i32",
        "",
        # `first` is the offset of the first node.
        f"""local.get $size local.get $first i32.lt_u if unreachable end
            local.get $graph i32.load local.get $roots i32.ne if unreachable end
            local.get $graph i32.const 8 i32.add local.get $roots i32.const 4 local.get $graph local.get $size
            call graph_relocate
            local.get $graph local.get $first i32.add local.set $node
            local.get $graph i64.extend_i32_u local.get $size i64.extend_i32_u i64.add local.set $end
            block loop
              local.get $node i64.extend_i32_u local.get $end i64.ge_u br_if 1
              local.get $node i32.load +4 local.set $word
              local.get $node {_SIZE} {_ROUNDED} local.tee $bytes
              local.get $node i64.extend_i32_u i64.add local.get $end i64.gt_u if unreachable end
              {_COUNT_REFERENCES}
              local.get $count local.get $node i32.load i32.gt_u if unreachable end
              local.get $node i32.const {HEAD_BYTES} i32.add local.get $count {_STEP}
              local.get $graph local.get $size call graph_relocate
              local.get $node local.get $bytes i32.wrap_i64 i32.add local.set $node br 0
            end end""",
        "node:i32 word:i32 count:i32 end:i64 bytes:i64",
    ),
    Function.of(
        "graph_record",
        "node:i32 which:i32",
        "",
        f"""local.get $node i32.load +4 local.set $word
            local.get $node {_SIZE} {_ROUNDED} i32.wrap_i64 local.tee $bytes
            i32.const 8 i32.add call bump local.tee $at i32.eqz if unreachable end
            local.get $at local.get $which i64.extend_i32_u i64.store
            local.get $at i32.const 8 i32.add local.get $node local.get $bytes memory.copy""",
        "word:i32 bytes:i32 at:i32",
    ),
    Function.of(
        "graph_reference",
        "node:i32 graph:i32 size:i32 mark:i32 out:i32",
        "i32",
        # What a reference is called outside; a node that is new goes out.
        f"""local.get $node i32.eqz if i32.const 0 return end
            local.get $node local.get $graph i32.sub local.tee $which local.get $size i32.lt_u if
              local.get $which return end
            local.get $node local.get $mark i32.lt_u if unreachable end
            local.get $node i32.load +4 i32.const {_MOVED} i32.eq if local.get $node i32.load return end
            local.get $node i32.load +4 i32.const {IS_OBJECT} i32.and if unreachable end
            global.get {HEAP} local.get $out i32.sub local.get $size i32.add local.set $which
            local.get $node local.get $which call graph_record
            local.get $node local.get $which i32.store local.get $node i32.const {_MOVED} i32.store +4
            local.get $which""",
        "which:i32",
    ),
    Function.of(
        "graph_out",
        "graph:i32 size:i32 first:i32 mark:i32 result:i32 bits:i64",
        "i32",
        # The list's address and size, in eight bytes.
        f"""i32.const 16 call bump local.tee $out i32.eqz if unreachable end
            local.get $out local.get $bits i64.store local.get $out i64.const 0 i64.store +8
            local.get $graph local.get $first i32.add local.set $node
            block loop
              local.get $node local.get $graph i32.sub local.get $size i32.ge_u br_if 1
              local.get $node i32.load +4 local.tee $word i32.const {IS_WRITTEN} i32.and if
                local.get $node local.get $node local.get $graph i32.sub call graph_record end
              local.get $node local.get $node {_SIZE} {_ROUNDED} i32.wrap_i64 i32.add local.set $node br 0
            end end
            local.get $result if
              local.get $out local.get $result local.get $graph local.get $size local.get $mark local.get $out
              call graph_reference i64.extend_i32_u i64.store end
            local.get $out i32.const 24 i32.add local.set $node
            block loop
              local.get $node global.get {HEAP} i32.ge_u br_if 1
              local.get $node i32.load +4 local.set $word
              {_COUNT_REFERENCES}
              local.get $node i32.const {HEAD_BYTES} i32.add local.set $slot
              block loop local.get $count i32.eqz br_if 1
                local.get $slot local.get $slot i32.load local.get $graph local.get $size local.get $mark
                local.get $out call graph_reference i32.store
                local.get $slot {_STEP} i32.add local.set $slot
                local.get $count i32.const 1 i32.sub local.set $count br 0 end end
              local.get $node local.get $node {_SIZE} {_ROUNDED} i32.wrap_i64 i32.add
              i32.const 8 i32.add local.set $node br 0
            end end
            global.get {HEAP} local.set $node
            i32.const 8 call bump local.tee $slot i32.eqz if unreachable end
            local.get $slot local.get $out i32.store
            local.get $slot local.get $node local.get $out i32.sub i32.store +4 local.get $slot""",
        "out:i32 node:i32 word:i32 count:i32 slot:i32",
    ),
)


def crosses_alone(descriptor: str) -> bool:
    """Tell whether values of a type are numbers or one list: no graph is needed for them."""
    return descriptor in ("V", STRING, *_PRIMITIVES) or (
        descriptor[0] == "[" and descriptor[1:] in _PRIMITIVES
    )


def first_node(roots: int) -> int:
    """Return the offset of the first node behind so many roots."""
    return align_up(8 + 4 * roots, 8)


def graph_of(parameters: Iterable[str], returns: str, effects: Effects, unit: ModuleUnit) -> Graph:
    """Return which parameters of a method are roots, and all types that can be reached from them."""
    roots = [number for number, item in enumerate(parameters) if kind_of_type(item) == "l"]
    given = [item for item in (*parameters, returns) if kind_of_type(item) == "l"]
    return Graph(tuple(roots), tuple(_types(given, effects, unit)))


def _types(given: list[str], effects: Effects, unit: ModuleUnit) -> Iterator[GraphType]:
    waiting, seen = list(reversed(given)), set(given)
    while waiting:
        descriptor = waiting.pop()
        fields = tuple(
            GraphField(item.class_name, item.name, item.type, (descriptor, item) in effects.changed)
            for item in unit.fields(descriptor)
        )
        _require_plain_names(descriptor, fields)
        is_written = descriptor in effects.changed or any(item.is_written for item in fields)
        yield GraphType(descriptor, unit.word(descriptor) | (IS_WRITTEN if is_written else 0), fields)
        inner = [descriptor[1:]] if descriptor[0] == "[" else [item.type for item in fields]
        fresh = [item for item in dict.fromkeys(inner) if kind_of_type(item) == "l" and item not in seen]
        seen.update(fresh)
        waiting += reversed(fresh)


def _require_plain_names(descriptor: str, fields: Iterable[GraphField]) -> None:
    if any(
        " " in name for name in (descriptor, *(part for item in fields for part in (item.name, item.owner)))
    ):
        raise Obstacle(f"uses {descriptor}, in which a name has a space")


def shape_of(item: ExportedMethod) -> str:
    """Return how the values of a method are told to Java; empty for one without a graph.

    Words with one space between them: parameters and result (``@589825,I,V``: a reference's word, or a
    number's type), then each type as ``word:descriptor:field|field``, a field as ``name@owner``, with ``!``
    in front if it may change.
    """
    if item.graph is None:
        return ""
    words = {kind.descriptor: kind.word for kind in item.graph.types}
    values = (*(parameter.descriptor for parameter in item.parameters), item.returns)
    text = ",".join(f"@{words[kind]}" if kind in words else kind for kind in values)
    return " ".join((text, *map(_type_text, item.graph.types)))


def _type_text(kind: GraphType) -> str:
    fields = "|".join(f"{'!' * field.is_written}{field.name}@{field.owner}" for field in kind.fields)
    return f"{kind.word}:{kind.descriptor}:{fields}"
