"""Load and run damaged models in a guest's name; end with status 0 if each was answered with a code.

usage: python -m tests.runtime.nn.mutations SEED COUNT

A process of its own, since ONNX Runtime is native code: if it crashed, that would be seen by the status.
Every second model has faults in its bytes, the others in what they say: those reach the library.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter

import onnx

from fuzz.run import damage
from lawow.runtime.nn.grant import InferenceGrant
from tests.runtime.nn import models
from tests.runtime.nn.builders import EDGES, F32, OK, guest, proxy

__all__ = ["main", "mutate"]

OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas()} - {"Loop", "Scan"})
NUMBERS = (0, 1, -1, 2, 3, 7, 127, -128, 1 << 16, 1 << 31, -(1 << 31), 1 << 40, (1 << 63) - 1, -(1 << 63))


def seeds() -> list[bytes]:
    """Return sound models of different shapes."""
    return [
        EDGES.read_bytes(),
        models.nested(2),
        models.doubling_functions(3),
        models.adder(),
        models.expanding(64),
        models.chooser(),
    ]


def change(model: onnx.ModelProto, chance: random.Random) -> None:
    """Make one false statement in a model."""
    nodes, tensors = model.graph.node, model.graph.initializer
    node = chance.choice(nodes)
    kind = chance.randrange(8)
    if kind == 0:
        node.op_type = chance.choice(OPERATORS)
    elif kind == 1 and node.input:
        names = [name for item in nodes for name in (*item.input, *item.output)] + ["", "nowhere"]
        node.input[chance.randrange(len(node.input))] = chance.choice(names)
    elif kind == 2:
        nodes.append(nodes[chance.randrange(len(nodes))])
    elif kind == 3 and node.attribute:
        attribute = chance.choice(node.attribute)
        attribute.i = chance.choice(NUMBERS)
        attribute.ints[:] = [chance.choice(NUMBERS) for _ in range(chance.randrange(5))]
    elif kind == 4 and tensors:
        chance.choice(tensors).dims[:] = [chance.choice(NUMBERS) for _ in range(chance.randrange(4))]
    elif kind == 5 and tensors:
        tensor = chance.choice(tensors)
        tensor.raw_data = chance.randbytes(chance.choice((0, 1, len(tensor.raw_data))))
    elif kind == 6 and tensors:
        chance.choice(tensors).data_type = chance.randrange(26)
    else:
        value = chance.choice([*model.graph.input, *model.graph.output])
        value.type.tensor_type.elem_type = chance.randrange(26)


def damaged(seed: bytes, chance: random.Random) -> bytes:
    """Return a model with faults."""
    if chance.randrange(2):
        return damage(seed, chance)
    model = onnx.load_from_string(seed)
    for _ in range(chance.choice((1, 1, 2, 4))):
        change(model, chance)
    data: bytes = model.SerializeToString()
    return data


def mutate(chance: random.Random, count: int) -> Counter[tuple[int, ...]]:
    """Return how often each sequence of codes (load, inputs, run, output) came."""
    codes: Counter[tuple[int, ...]] = Counter()
    wasm = proxy()
    for _ in range(count):
        data = damaged(chance.choice(seeds()), chance)
        with guest(InferenceGrant(), wasm) as caller:
            found = [caller.load(data)[0]]
            if found[0] == OK:
                context = caller.result("init_execution_context", 0)[1]
                for index in range(2):
                    shape = chance.choice(([1], [1, 1, 16, 16], [2, 3], []))
                    content = chance.randbytes(4 * math.prod(shape))
                    found.append(caller.set_input(context, index, shape, F32, content))
                found.append(caller.call("compute", context))
                found.append(caller.get_output(context, 0)[0])
        codes[tuple(found)] += 1
    return codes


def main() -> None:
    """Print what came."""
    for codes, count in mutate(random.Random(sys.argv[1]), int(sys.argv[2])).most_common():
        print(count, *codes)


if __name__ == "__main__":
    main()
