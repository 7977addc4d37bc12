"""The module of the benchmark behind grpcio: ``grpc_server.py GUEST`` prints its port and serves."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine


def main() -> None:
    """Serve ``/lawow.Guest/same``: eight bytes in, eight bytes out."""
    engine = WasmtimeEngine(EDGE_PROFILE)
    instance = engine.compile(Path(sys.argv[1]).read_bytes()).instantiate()
    lock = threading.Lock()

    def same(request: bytes, _: grpc.ServicerContext) -> bytes:
        with lock:
            return instance.call_raw("same", request)

    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.method_handlers_generic_handler(
        "lawow.Guest", {"same": grpc.unary_unary_rpc_method_handler(same)}
    )
    server.add_generic_rpc_handlers((handler,))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
