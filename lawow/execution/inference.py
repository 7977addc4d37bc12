"""What is here for inference: ONNX Runtime, its release, and the devices that really take a model's nodes."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.errors import LawowError

__all__ = ["InferenceFacts", "describe_inference"]


@dataclass(frozen=True, slots=True)
class InferenceFacts:
    """ONNX Runtime on this machine: `version`, or "" with the reason why it cannot be used in `problem`.

    `providers` are those that it was built with; `gpu_problem` says why no GPU can be used, or is empty.
    """

    version: str = ""
    providers: tuple[str, ...] = ()
    gpu_problem: str = ""
    problem: str = ""

    def document(self) -> dict[str, object]:
        """Return it for ``--json``."""
        devices = (["cpu"] if self.version else []) + ([] if self.gpu_problem or self.problem else ["gpu"])
        return {
            "version": self.version or None,
            "providers": list(self.providers),
            "devices": devices,
            "gpu_problem": self.gpu_problem or None,
            "problem": self.problem or None,
        }

    def lines(self) -> list[str]:
        """Return it as lines."""
        if self.problem:
            return [f"nn  not usable  {self.problem}"]
        return [
            f"nn  onnxruntime {self.version}  {', '.join(self.providers)}",
            "  cpu:                  yes",
            f"  gpu:                  {f'no: {self.gpu_problem}' if self.gpu_problem else 'yes'}",
        ]


def describe_inference() -> InferenceFacts:
    """Look for ONNX Runtime, and run a model of one node on a GPU if there seems to be one."""
    from lawow.runtime.nn.onnx_runtime import INSTALL, gpu_problem, is_installed, load

    if not is_installed():
        return InferenceFacts(problem=f"ONNX Runtime is not installed; {INSTALL}")
    try:
        library = load()
        return InferenceFacts(library.__version__, tuple(library.get_available_providers()), gpu_problem())
    except LawowError as error:
        return InferenceFacts(problem=str(error))
