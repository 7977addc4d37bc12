"""ONNX Runtime, set up for models of strangers, and the devices that it really has.

The library is imported when it is first needed. Its arena on the CPU is bounded for the whole process
(`lawow.limits.NnLimits.memory_bytes`), since a model of a few bytes may ask for any amount of memory. Which
device a session uses is not taken from the providers that were asked for, nor from those that the library
lists: both name CUDA where no GPU is. What counts is to which provider the nodes of the graph were assigned.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Protocol

from lawow.errors import LawowError
from lawow.formats.protobuf import encode_field
from lawow.limits import NN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from numpy import generic
    from numpy.typing import NDArray

__all__ = [
    "CPU",
    "GPU",
    "INSTALL",
    "Session",
    "gpu_problem",
    "is_installed",
    "load",
    "memory_limit",
    "nodes_of",
    "one_node",
    "open_session",
    "sentence_of",
]

CPU = "CPUExecutionProvider"
GPU = "CUDAExecutionProvider"
"""The one provider that counts as a GPU: others have not been tried with LAWOW."""

INSTALL = "pip install 'lawow[nn]', or onnxruntime-gpu in place of onnxruntime where there is CUDA"

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"  # else 1.32 keeps an id and a database in ~/.cache, and a thread
_OLDEST = "1.24.1"  # the first that tells where nodes were assigned
_SAME_AS_REQUESTED = 1  # how an arena grows: by what is needed, not by doubling
_FATAL = 4
_SENTENCE = 300

_CONFIG = {
    "session.load_model_format": "ONNX",  # not ORT's own format, which a model may claim to be
    "session.record_ep_graph_assignment_info": "1",
    "session.use_env_allocators": "1",  # the bounded arena
    "session.intra_op.allow_spinning": "0",  # threads that wait would take the guest's processor time
}
_CUDA_OPTIONS = {
    "gpu_mem_limit": str(NN.memory_bytes),
    "arena_extend_strategy": "kSameAsRequested",
    "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all, for seconds
    "use_tf32": "0",  # 10 bits of mantissa: another result than the CPU's
}


class _NodeArg(Protocol):
    """An input of a model."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that is used."""

    def get_inputs(self) -> Sequence[_NodeArg]:
        """Return the inputs in the model's order. Names and types are read from the library at each use."""

    def run(
        self, output_names: None, input_feed: Mapping[str, NDArray[generic]], run_options: object = None
    ) -> Sequence[object]:
        """Return the outputs: arrays, or something else for what is no tensor."""


def is_installed() -> bool:
    """Return whether the library can be found, without importing it."""
    import importlib.util

    return importlib.util.find_spec("onnxruntime") is not None


_loaded: list[tuple[ModuleType, int]] = []
"""The library and the bound of its arena, once it is loaded."""


def load(memory_bytes: int = NN.memory_bytes) -> ModuleType:
    """Import the library and bound its memory, which the first call decides for the whole process.

    Raises `LawowError` with the command that installs it.
    """
    if not _loaded:
        _loaded.append((_import(memory_bytes), memory_bytes))
    return _loaded[0][0]


def memory_limit() -> int:
    """Return the bytes that all models and their tensors may take together on each device."""
    load()
    return _loaded[0][1]


def _import(memory_bytes: int) -> ModuleType:
    os.environ[_NO_TELEMETRY] = "1"  # read at the import; the function below comes too late for its files
    try:
        import onnxruntime
    except ImportError as error:
        raise LawowError(f"ONNX Runtime cannot be imported ({error}); {INSTALL}") from None
    library: ModuleType = onnxruntime
    if not hasattr(library.InferenceSession, "get_provider_graph_assignment_info"):
        raise LawowError(f"ONNX Runtime {library.__version__} is too old, {_OLDEST} is needed; {INSTALL}")
    library.set_default_logger_severity(_FATAL)
    library.disable_telemetry_events()
    library.create_and_register_allocator(
        library.OrtMemoryInfo(
            "Cpu", library.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, library.OrtMemType.DEFAULT
        ),
        library.OrtArenaCfg(memory_bytes, _SAME_AS_REQUESTED, -1, -1),
    )
    return library


def open_session(model: bytes, *, gpu: bool, threads: int = NN.threads) -> Session:
    """Make a session on the CPU, or on the GPU with the CPU for what it cannot do.

    With one of `threads` it runs on the caller's and starts none.

    Raises whatever the library raises: its errors have no common base but `Exception`.
    """
    library = load()
    options = library.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = max(1, min(threads, os.cpu_count() or 1))
    options.inter_op_num_threads = 1
    for name, value in _CONFIG.items():
        options.add_session_config_entry(name, value)
    providers = [(GPU, _CUDA_OPTIONS), CPU] if gpu else [CPU]
    # Without these two a session of CUDA that fails becomes one of the CPU, with a word on standard output,
    # and a model may bring options of its own.
    session: Session = library.InferenceSession(
        model, options, providers=providers, enable_fallback=0, read_config_from_model=0
    )
    return session


def nodes_of(session: Session) -> dict[str, int]:
    """Return provider -> number of the graph's nodes that were assigned to it."""
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():  # type: ignore[attr-defined]
        nodes[str(part.ep_name)] += len(part.get_nodes())
    return dict(nodes)


@functools.cache
def gpu_problem() -> str:
    """Return why no model can run on a GPU here, or "" if one did get its node there.

    Costs the start of CUDA, once for the process. Raises `LawowError` if the library is not there.
    """
    library = load()
    providers = library.get_available_providers()
    if GPU not in providers:
        return f"onnxruntime {library.__version__} as installed here has no {GPU}"
    try:
        # CUDA may come as packages of Python, which only this call finds; it talks on standard output.
        with contextlib.redirect_stdout(sys.stderr):
            library.preload_dlls()
        nodes = _nodes_of_a_run()
    except Exception as error:  # noqa: BLE001  # the library's errors have no common base
        return f"{GPU} cannot be started: {sentence_of(error)}"
    return "" if nodes.get(GPU) else f"{GPU} takes no node here: no GPU, or no driver and libraries for it"


def _nodes_of_a_run() -> dict[str, int]:
    """Run one node, on a GPU if one takes it; return where it was."""
    import numpy

    session = open_session(one_node(), gpu=True)
    square = numpy.eye(2, dtype="float32")
    session.run(None, {"a": square, "b": square})
    return nodes_of(session)


def sentence_of(error: Exception) -> str:
    """Return the library's error as one short line."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= _SENTENCE else line[:_SENTENCE] + "..."


def one_node() -> bytes:
    """Return a model that multiplies matrices ``a`` and ``b``, 2 by 2: the least that a GPU is there for."""

    def tensor(name: bytes) -> bytes:
        shape = encode_field(1, encode_field(1, 2)) * 2  # two dimensions of two
        kind = encode_field(1, 1) + encode_field(2, shape)  # elements of float
        return encode_field(1, name) + encode_field(2, encode_field(1, kind))

    node = encode_field(1, b"a") + encode_field(1, b"b") + encode_field(2, b"c") + encode_field(4, b"MatMul")
    graph = encode_field(1, node) + encode_field(2, b"probe")
    graph += encode_field(11, tensor(b"a")) + encode_field(11, tensor(b"b")) + encode_field(12, tensor(b"c"))
    return encode_field(1, 8) + encode_field(8, encode_field(2, 17)) + encode_field(7, graph)
