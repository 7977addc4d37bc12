"""The second paper's Object Detection: the guest hazards.wasm and its model, here or on another host.

Both places run the same bytes through the same host functions (wasi-nn over ONNX Runtime, extra ``nn``). The
other host serves two channels: ``module`` takes what is offloaded and answers when it is ready, ``detect``
takes pictures.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import tempfile
import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.channel.documents import Value
from lawow.device.channel_host import ChannelHost, FlexibleEnd
from lawow.device.emulation.slow import end_with_parent
from lawow.errors import LawowError, UsageError
from lawow.figures.clone import fixtures_folder
from lawow.figures.scene import KINDS, VIEW
from lawow.formats.elements import Packed
from lawow.formats.signature import parse_typed_signature
from lawow.limits import CALL
from lawow.runtime.grants import Grants
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.nn.grant import InferenceGrant
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["Detection", "Detector", "detector_files", "main", "packed", "read_detections", "serve_detection"]

SIGNATURE = parse_typed_signature("[bii>[i")
WORDS = "list<s64>"
"""Type of the messages with bytes: eight in each number, which costs a slow device the least."""
PART_BYTES = 128 << 10
MOST_MODULE_BYTES = 16 << 20
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that was found: its kind, its centre in pixels of the picture."""

    kind: str
    x: int
    y: int


def detector_files() -> tuple[bytes, bytes]:
    """Return guest and model. Raises `UsageError` outside a clone of the project."""
    try:
        folder = fixtures_folder("nn")
        return (folder / "hazards.wasm").read_bytes(), (folder / "hazards.onnx").read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is not there; run in the folder of a clone") from None


class Detector:
    """The guest, compiled, one instance of it, and its model. For one thread at a time."""

    def __init__(self, wasm: bytes, model: bytes, passes: int = 1) -> None:
        """Prepare all and look at a blank picture, so that the first one costs what the others cost.

        Each picture is examined `passes` times, to cost what a larger detector would. Raises `LawowError` for
        a guest or a model that does not work.
        """
        self._passes = passes
        with tempfile.TemporaryDirectory(prefix="lawow-model-") as folder:
            path = Path(folder) / "hazards.onnx"
            path.write_bytes(model)
            self._prepare(wasm, InferenceGrant({"hazards": str(path)}, "cpu"))  # which keeps what it has read

    def _prepare(self, wasm: bytes, grant: InferenceGrant) -> None:
        self._engine = WasmtimeEngine(EDGE_PROFILE)
        self._module = self._engine.compile(wasm)
        self._instance = self._module.instantiate(grants=Grants(functions=grant.functions))
        self._caller = TypedCaller(self._instance, result_bytes=CALL.memory_bytes)
        try:
            self.find(bytes(VIEW[0] * VIEW[1]))
        except LawowError:
            self.close()
            raise

    def find(self, picture: bytes) -> list[int]:
        """Return kind, x, y, certainty of all that is in a picture of `VIEW`. Raises `LawowError`."""
        image = Packed(len(picture), picture)
        sides = [side.to_bytes(8, "little") for side in VIEW]
        for _ in range(self._passes):
            (found,) = self._caller.call("detect", SIGNATURE, [image, *sides], deadline_seconds=600).results
        assert isinstance(found, Packed)
        numbers = array("i", found.data).tolist()
        if len(numbers) == 1:
            raise LawowError(f"the detector's inference failed with code {-numbers[0]}")
        return numbers

    @property
    def memory_bytes(self) -> int:
        """Size of the guest's memory."""
        return self._instance.memory_bytes

    def close(self) -> None:
        """Free everything."""
        self._instance.close()
        self._module.close()
        self._engine.close()


def read_detections(numbers: Sequence[object]) -> list[Detection]:
    """Return what the guest's numbers stand for. Raises `LawowError` for others."""
    found = []
    for at in range(0, len(numbers), 4):
        kind, x, y, _ = (int(str(item)) for item in numbers[at : at + 4])
        if not 1 <= kind <= len(KINDS):
            raise LawowError(f"the detector found a thing of kind {kind}; there are 1 to {len(KINDS)}")
        found.append(Detection(KINDS[kind - 1], x, y))
    return found


def packed(data: bytes) -> Value:
    """Return bytes as a message of `WORDS`, filled up with zeros to eight."""
    return array("q", data + bytes(-len(data) % 8))


def _bytes_of(message: Value) -> bytes:
    assert isinstance(message, Sequence)
    return array("q", message).tobytes()


class _Shelf:
    """The newest module that a host was given, and a dormant detector of it for the next channel."""

    def __init__(self, passes: int) -> None:
        self._passes = passes
        self._digest = b""
        self._files: tuple[bytes, bytes] | None = None
        self._ready: list[Detector] = []  # at most one; a list gives each item to one thread alone

    def take(self, end: FlexibleEnd) -> None:
        """Serve ``module``: a digest and both lengths, answered by what is lacking; then the parts."""
        head = _bytes_of(end.receive())
        digest, sizes = head[:32], [int.from_bytes(head[at : at + 8], "little") for at in (32, 40)]
        if sum(sizes) > MOST_MODULE_BYTES:
            raise UsageError(f"the module has {sum(sizes)} bytes; allowed are {MOST_MODULE_BYTES}")
        missing = 0 if digest == self._digest else sum(sizes)
        end.send([missing])
        data = bytearray()
        while len(data) < missing:
            data += _bytes_of(end.receive())
        if missing:
            self._put(bytes(data[:missing]), digest, sizes[0])
        end.send([1])

    def _put(self, content: bytes, digest: bytes, wasm_bytes: int) -> None:
        """Make a detector of a new module in place of the former. Raises `LawowError` if it does not work."""
        if hashlib.sha256(content).digest() != digest:
            raise UsageError("the module is not what its digest says")
        files = (content[:wasm_bytes], content[wasm_bytes:])
        made = Detector(*files, self._passes)
        while self._ready:
            self._ready.pop().close()
        self._ready.append(made)
        self._digest, self._files = digest, files

    def detect(self, end: FlexibleEnd) -> None:
        """Serve ``detect``: a detector of this channel's own answers pictures, and is dormant afterwards."""
        files = self._files
        if files is None:
            return
        detector = self._ready.pop() if self._ready else Detector(*files, self._passes)
        try:
            for message in end:
                end.send(detector.find(_bytes_of(message)))
        finally:
            if files is self._files and not self._ready:
                self._ready.append(detector)
            else:
                detector.close()


def serve_detection(host: ChannelHost, passes: int = 1) -> None:
    """Let a host take an offloaded detector and answer pictures with it."""
    shelf = _Shelf(passes)
    host.offer("module", WORDS, shelf.take)
    host.offer("detect", WORDS, shelf.detect)


def main() -> None:
    """Be an edge: print the port on loopback, serve until the parent ends. Arguments: a token, and passes."""
    end_with_parent()
    host = ChannelHost("edge", sys.argv[1].encode())
    serve_detection(host, int(sys.argv[2]))
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as server:
        print(f'{{"port": {server.getsockname()[1]}}}', flush=True)
        threading.Thread(target=_accept, args=(server, host), daemon=True).start()
        sys.stdin.read()


def _accept(server: socket.socket, host: ChannelHost) -> None:
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host.serve(connection)


if __name__ == "__main__":
    main()
