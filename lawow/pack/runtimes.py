"""Where an app's WebAssembly runtime comes from: wasmtime's own Android wheels, pinned.

The wheels are fetched by name through pip, checked against the digests below, and cached under
``$XDG_CACHE_HOME/lawow/runtimes``. A folder of the user's may take their place (no network then). The
version is exact because the glue knows the layouts of this one; it must be the one that lawow itself runs
modules with.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lawow.durable import write_file
from lawow.errors import FormatError, HostLost, LimitExceeded, UsageError

__all__ = [
    "ABIS",
    "VERSION",
    "Runtime",
    "fetched_library",
    "library_from",
    "library_of_wheel",
    "require_abis",
    "runtime_licence",
]

VERSION = "50.0.1"
LIBRARY = "libwasmtime.so"
_MEMBER = "_libwasmtime.so"
_MOST_LIBRARY_BYTES = 128 << 20  # the largest is 30 MB
_FETCH_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Runtime:
    """A pinned wheel, the platform tag by which pip finds it, and what it adds to a download, in bytes."""

    platform: str
    wheel_sha256: str
    download_bytes: int

    @property
    def wheel(self) -> str:
        """The file name of the wheel."""
        return f"wasmtime-{VERSION}-py3-none-{self.platform}.whl"


ABIS = {
    "arm64-v8a": Runtime(
        "android_26_arm64_v8a",
        "62e4d9b9371b4766a3deb044618c17adad3983ab3333d1598df0e981ec88206f",
        7_650_000,
    ),
    "x86_64": Runtime(
        "android_26_x86_64",
        "612ebd1874eeab5f3eb3f18e529ab8af4bff885b7450c58593e3c3889868406b",
        8_800_000,
    ),
}
"""ABI -> runtime. No version of wasmtime comes for 32-bit Android."""


def require_abis(abis: Sequence[str]) -> list[str]:
    """Return the ABIs that are asked for, or all of `ABIS`. Raises `UsageError` for one without a runtime."""
    for abi in abis:
        if abi not in ABIS:
            raise UsageError(f"there is no WebAssembly runtime for {abi}; there is one for {', '.join(ABIS)}")
    return [abi for abi in ABIS if not abis or abi in abis]


def fetched_library(abi: str, tell: Callable[[str], None]) -> bytes:
    """Return libwasmtime.so for an ABI, from the cache or through pip; `tell` hears before a download.

    Raises `HostLost` if pip cannot fetch it, `FormatError` if what it fetched is not the pinned file.
    """
    runtime = ABIS[abi]
    path = _cache_folder() / runtime.wheel
    if not path.exists() or _sha256(path.read_bytes()) != runtime.wheel_sha256:
        tell(f"fetching {runtime.wheel}")
        wheel = _download(runtime)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, wheel)
    return _library_in(path.read_bytes(), path)


def library_from(folder: Path, abi: str) -> bytes:
    """Return ``FOLDER/<abi>/libwasmtime.so``. Raises `UsageError` if it is not there."""
    path = folder / abi / LIBRARY
    if not path.is_file():
        raise UsageError(f"{path}: no such file; --runtime-dir needs DIR/<abi>/{LIBRARY} for each ABI packed")
    if path.stat().st_size > _MOST_LIBRARY_BYTES:
        raise LimitExceeded("library_bytes", path.stat().st_size, _MOST_LIBRARY_BYTES, subject=str(path))
    return path.read_bytes()


def library_of_wheel(wheels: Sequence[Path], abi: str) -> bytes:
    """Return libwasmtime.so for an ABI out of the one of these wheels that is the pinned one for it.

    Raises `UsageError` if none has its name, `FormatError` if its content is another one's.
    """
    runtime = ABIS[abi]
    path = next((item for item in wheels if item.name == runtime.wheel), None)
    if path is None:
        names = ", ".join(item.name for item in wheels)
        raise UsageError(f"--wheel: {abi} needs {runtime.wheel}; given: {names}; or leave {abi} out by --abi")
    if path.stat().st_size > _MOST_LIBRARY_BYTES:
        raise LimitExceeded("wheel_bytes", path.stat().st_size, _MOST_LIBRARY_BYTES, subject=str(path))
    wheel = path.read_bytes()
    _require_pinned(wheel, runtime, str(path))
    return _library_in(wheel, path)


def runtime_licence() -> bytes:
    """Return wasmtime's licence, which goes with the library into every app."""
    text = metadata.distribution("wasmtime").read_text("licenses/LICENSE")
    if not text:
        raise UsageError("the installed wasmtime package lacks its licence; install lawow again")
    return text.encode()


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "lawow" / "runtimes"


def _download(runtime: Runtime) -> bytes:
    """Have pip fetch the wheel. Without the right one it takes the wheel for any platform, so look twice."""
    with tempfile.TemporaryDirectory() as folder:
        options = (
            "--no-deps",
            "--only-binary",
            ":all:",
            "--abi",
            "none",
            "--python-version",
            "3.13",
            "--quiet",
        )
        command = [sys.executable, "-m", "pip", "download", *options, "--disable-pip-version-check"]
        command += ["--platform", runtime.platform, "--dest", folder, f"wasmtime=={VERSION}"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise HostLost(_unreachable(runtime, f"pip did not end within {_FETCH_SECONDS} s")) from None
        path = Path(folder, runtime.wheel)
        if done.returncode or not path.exists():
            reason = next(reversed(done.stderr.strip().splitlines()), "pip fetched another file")
            raise HostLost(_unreachable(runtime, reason))
        wheel = path.read_bytes()
    _require_pinned(wheel, runtime, runtime.wheel)
    return wheel


def _require_pinned(wheel: bytes, runtime: Runtime, name: str) -> None:
    if (found := _sha256(wheel)) != runtime.wheel_sha256:
        allowed = runtime.wheel_sha256
        raise FormatError("is not the pinned file", file=name, found=f"SHA-256 {found}", allowed=allowed)


def _unreachable(runtime: Runtime, reason: str) -> str:
    return (
        f"{runtime.wheel} could not be fetched ({reason}); try again online, or give that file by"
        f" --wheel, or a folder with <abi>/{LIBRARY} by --runtime-dir"
    )


def _library_in(wheel: bytes, path: Path) -> bytes:
    """Take the library out of a wheel whose digest has been checked."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for info in archive.infolist():
            if info.filename.rpartition("/")[2] == _MEMBER:
                return archive.read(info)
    raise FormatError(f"holds no {_MEMBER}", file=str(path))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
