"""A counter that goes to an edge with what it remembers, and comes home with it.

    LAWOW_TOKEN=... python examples/elastic_counter.py https://HOST:PORT SHA256

`lawow serve --json` prints both; `lawow token` makes the token. Without arguments everything stays here.
"""

from __future__ import annotations

import os
import sys

from wasmtime import wat2wasm

from lawow.device.edge_client import EdgeClient
from lawow.device.elastic import ElasticFunction, elastic
from lawow.device.elastic_module import ElasticModule
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Remote

COUNTER = wat2wasm(
    """(module (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))"""
)
SQUARE = wat2wasm(
    '(module (func (export "square") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0))))'
)


@elastic(bytes(SQUARE), policy=Remote())
def square(number: int) -> int:
    """The native version: it runs here, and its WebAssembly build on the edge."""
    return number * number


def show(function: ElasticFunction, argument: int) -> None:
    """Call a function, and print the result and where it came from."""
    result = function(argument)
    assert function.last_place is not None
    print(f"{function.export}({argument}) = {result}, {function.last_place.value}")


def main(url: str = "", pin: str = "") -> None:
    """Walk the offload sequence."""
    counter = ElasticModule(bytes(COUNTER), keeps_state=True)
    add = ElasticFunction(counter, "add", policy=Remote())
    show(add, 1)
    show(square, 12)
    if not url:
        return
    with EdgeClient(url, os.environ["LAWOW_TOKEN"], certificate_sha256=pin or None) as edge:
        handler = OffloadHandler(edge)
        for module in (counter, square.module):
            item = module.offload(handler)
            print(f"{item.transferred_bytes} bytes to {item.host}: {item.state}")
        show(add, 10)
        show(square, 12)
        counter.synchronise()
        show(add, 100)
        counter.recall()
        square.module.recall()
    show(add, 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
