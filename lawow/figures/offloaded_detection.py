"""The device's side of an offloaded detector: brings it to a host, cold or warm, and sends it pictures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from lawow.device.data_session import DataSession, dial
from lawow.device.elastic_channel import ElasticChannel
from lawow.errors import HostLost
from lawow.figures.detection import PART_BYTES, WORDS, packed

__all__ = ["OffloadedDetector"]

HOST = "edge"
ANSWER_SECONDS = 60.0


class OffloadedDetector:
    """A detector on the host at a port of loopback, which may be an emulated link's. Use as a context
    manager.

    `offload_seconds` is from the connection to readiness, `brought_bytes` what of the module was sent: 0
    when warm.
    """

    def __init__(self, port: int, token: str, wasm: bytes, model: bytes) -> None:
        """Offload it. Raises `HostLost`."""
        started = time.perf_counter()
        self._session = DataSession(lambda: dial("127.0.0.1", port, None), token.encode())
        try:
            sessions = {HOST: self._session}
            with ElasticChannel("module", WORDS, sessions, HOST) as channel:
                self.brought_bytes = _bring(channel, wasm, model)
            self._channel = ElasticChannel("detect", WORDS, sessions, HOST)
        except BaseException:
            self._session.close()
            raise
        self.offload_seconds = time.perf_counter() - started

    def __enter__(self) -> OffloadedDetector:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.reset()
        self._session.close()

    def find(self, picture: bytes) -> list[int]:
        """Return what `Detector.find` returns. Raises `HostLost`."""
        self._channel.send(packed(picture), timeout_seconds=ANSWER_SECONDS)
        return _numbers(self._channel)


def _bring(channel: ElasticChannel, wasm: bytes, model: bytes) -> int:
    """Tell the digest, send what the host lacks, wait until it is ready; return the bytes that were sent."""
    content = wasm + model
    sizes = len(wasm).to_bytes(8, "little") + len(model).to_bytes(8, "little")
    channel.send(packed(hashlib.sha256(content).digest() + sizes))
    (missing,) = _numbers(channel)
    for at in range(0, missing, PART_BYTES):
        channel.send(packed(content[at : at + PART_BYTES]), timeout_seconds=ANSWER_SECONDS)
    _numbers(channel)
    return missing


def _numbers(channel: ElasticChannel) -> list[int]:
    answer = channel.receive(timeout_seconds=ANSWER_SECONDS)
    if not isinstance(answer, Sequence) or isinstance(answer, str):
        raise HostLost("the host has closed the channel instead of answering")
    return [int(item) for item in answer]
