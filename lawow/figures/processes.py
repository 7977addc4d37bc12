"""The two machines of a run, as processes of this one: an emulated device and a real edge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from lawow.device.emulation.slow import SlowProcess
from lawow.errors import HostLost

__all__ = ["EdgeProcess", "Parts", "Talk", "running_device", "running_edge", "talking_process"]

TENANT = "figures"


@dataclass(frozen=True, slots=True)
class Parts:
    """A call's time in the first paper's three parts, in seconds, its results, its process's peak memory."""

    transfer: float
    prepare: float
    run: float
    results: tuple[int | float, ...]
    peak_memory_bytes: int | None

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.transfer + self.prepare + self.run


@dataclass(frozen=True, slots=True)
class EdgeProcess:
    """A running ``lawow serve``, a token for it, and the pin of its certificate; None without TLS."""

    url: str
    token: str
    pin: str | None

    @property
    def host(self) -> str:
        """Its address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.url).port or 0


class Talk:
    """A child process that answers JSON lines."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self.pid = child.pid
        self._child = child
        self._stdin: IO[str] = child.stdin
        self._stdout: IO[str] = child.stdout

    def ask(self, asked: dict[str, object]) -> dict[str, object]:
        """Return the answer to one line. Raises `HostLost` if the process has ended."""
        self._stdin.write(json.dumps(asked) + "\n")
        self._stdin.flush()
        return self.read()

    def read(self) -> dict[str, object]:
        """Return the next line. Raises `HostLost` if the process has ended."""
        line = self._stdout.readline()
        if not line:
            raise HostLost(f"{' '.join(map(str, self._child.args))} has ended; run it by hand to see why")  # type: ignore[arg-type]  # a list
        found: dict[str, object] = json.loads(line)
        return found

    def run(self, wasm: Path, export: str, arguments: Sequence[int]) -> Parts:
        """Run an export on a device of `running_device`."""
        answer = self.ask({"wasm": str(wasm), "export": export, "arguments": list(arguments)})
        prepare, run, peak = (float(str(answer[key])) for key in ("prepare", "run", "peak_memory_bytes"))
        results = answer["results"]
        assert isinstance(results, list)
        return Parts(0.0, prepare, run, tuple(results), int(peak))


@contextmanager
def talking_process(*arguments: str) -> Iterator[Talk]:
    """Run a Python program of this project that answers lines, until the block ends."""
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield Talk(child)
        finally:
            child.kill()


@contextmanager
def running_device(slowdown: float) -> Iterator[Talk]:
    """Run a device that is so many times slower than this machine. What it measures is *emulated*."""
    with talking_process("-m", "lawow.figures.device_program") as talk:
        talk.read()
        with SlowProcess(talk.pid, slowdown):
            yield talk


@contextmanager
def running_edge(
    folder: Path, *, tls: Path | None = None, grants: Sequence[str] = ()
) -> Iterator[EdgeProcess]:
    """Run ``lawow serve`` on loopback with data in `folder`, for one tenant that has these grants.

    With `tls`, a folder for a certificate of its own, over TLS. Raises `HostLost` if it does not start.
    """
    command = [sys.executable, "-m", "lawow"]
    serve = [*command, "serve", "--data", str(folder), "--port", "0", "--json"]
    if tls is not None:
        _finished([*command, "certificate", "--out", str(tls), "--host", "127.0.0.1"])
        serve += ["--cert", str(tls / "edge.crt"), "--key", str(tls / "edge.key")]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line or "url" not in json.loads(line):
                raise HostLost("lawow serve did not start; it needs: pip install 'lawow[edge]'")
            facts = json.loads(line)
            token = _finished([*command, "token", "--data", str(folder), "--tenant", TENANT]).strip()
            if grants:
                options = [text for name in grants for text in ("--grant", name)]
                _finished([*command, "tenant", "set", TENANT, "--data", str(folder), *options])
            yield EdgeProcess(facts["url"], token, facts["pin"])
        finally:
            server.terminate()


def _finished(command: Sequence[str]) -> str:
    """Run a command to its end and return its output. Raises `HostLost` with what it complains of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostLost(f"{' '.join(command[2:5])} failed: {done.stderr.strip()}")
    return done.stdout
