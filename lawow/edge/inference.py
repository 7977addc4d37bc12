"""Inference in a process behind fences: the grant ``nn`` where no file can be opened any more.

ONNX Runtime is imported, and has run one node, before the fences stand; afterwards it computes and nothing
else. Models come as open files and are read when a guest first asks for them. What models and tensors take is
taken from the tenant's memory: `limits_within` splits it. All of it is on the CPU: a GPU is reached by
``ioctl`` on its driver, which the filter of system calls keeps from whoever escapes from a guest.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy

from lawow.edge.confinement import read_everything
from lawow.limits import EDGE, NN, NnLimits
from lawow.runtime.nn.abi import ErrorCode, NnError
from lawow.runtime.nn.grant import InferenceGrant
from lawow.runtime.nn.models import open_model
from lawow.runtime.nn.onnx_runtime import one_node

__all__ = ["FencedInference", "limits_within", "share_of"]


def share_of(memory_bytes: int) -> int:
    """Return which part of a tenant's memory is for inference; instances have the rest."""
    return memory_bytes // 2


def limits_within(share_bytes: int, threads: int) -> NnLimits:
    """Return limits that keep to a share of memory: three quarters for models and what a run needs
    meanwhile, one for the inputs and outputs that instances hold.
    """
    held_bytes = share_bytes // 4
    return replace(
        NN,
        model_bytes=EDGE.model_bytes,
        tensor_bytes=min(NN.tensor_bytes, held_bytes),
        held_bytes=held_bytes,
        memory_bytes=share_bytes - held_bytes,
        threads=threads,
    )


class FencedInference:
    """The grant of one tenant, and the open files of its models."""

    def __init__(self, limits: NnLimits) -> None:
        """Load the library and let it run once. Raises `LawowError` where it is not there."""
        self.grant = InferenceGrant({}, "cpu", limits)
        self._files: dict[str, int] = {}
        self.grant.prepare()
        square = numpy.eye(2, dtype="float32")
        warm_up = open_model("warm-up", one_node(), "cpu", limits)
        warm_up.run({"a": square, "b": square}, self.grant.stopper)

    def put(self, name: str, descriptor: int | None) -> None:
        """Take the open file of the model of a name, or have no model of that name any more."""
        former = self._files.pop(name, None)
        if descriptor is None:
            self.grant.put(name, None)
        else:
            self._files[name] = descriptor
            self.grant.put(name, lambda limits: _read(name, descriptor, limits))
        if former is not None:
            os.close(former)


def _read(name: str, descriptor: int, limits: NnLimits) -> bytes:
    size = os.lseek(descriptor, 0, os.SEEK_END)  # `fstat` is a look at a file by its path to some C libraries
    if size > limits.model_bytes:
        raise NnError(
            ErrorCode.TOO_LARGE, f"{name}: model_bytes is {size}, the limit is {limits.model_bytes}"
        )
    os.lseek(descriptor, 0, os.SEEK_SET)
    return read_everything(descriptor)
