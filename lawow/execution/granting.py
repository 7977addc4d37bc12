"""What the user grants to a guest, from the text of options to `Grants`: ``--dir``, ``--env``, ``--stdin``,
``--grant``, and for the grant ``nn`` also ``--model`` and ``--device``.
"""

from __future__ import annotations

import os

from lawow.errors import LawowError, UsageError
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.host_functions import INFERENCE, find_host_functions
from lawow.runtime.nn.abi import DEVICES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.runtime.nn.grant import InferenceGrant

__all__ = [
    "DEVICES",
    "Grants",
    "InferenceGrant",
    "parse_directory",
    "parse_model",
    "parse_variable",
    "read_grants",
    "read_inference",
]

_READ_ONLY = "ro"


def read_grants(
    directories: Sequence[str],
    variables: Sequence[str],
    stdin: bool,
    functions: Sequence[str],
    inference: InferenceGrant | None = None,
) -> Grants | None:
    """Return what these texts and `read_inference` grant together, or None if that is nothing.

    Raises `UsageError`.
    """
    if not (directories or variables or stdin or functions):
        return None
    found = find_host_functions(name for name in functions if name != INFERENCE)
    return Grants(
        [parse_directory(text) for text in directories],
        [parse_variable(text) for text in variables],
        stdin,
        [*found, *(inference.functions if inference is not None else ())],
    )


def read_inference(
    functions: Sequence[str], models: Sequence[str], device: str | None
) -> InferenceGrant | None:
    """Return what ``nn`` among the granted `functions` grants, or None if it is not.

    Raises `UsageError` for models or a device without it, and `LawowError` where ONNX Runtime is missing.
    """
    if INFERENCE not in functions:
        if models or device:
            raise UsageError(f"--model and --device belong to a grant; add --grant {INFERENCE}")
        return None
    from lawow.runtime.nn.onnx_runtime import INSTALL, is_installed

    if not is_installed():
        raise LawowError(f"--grant {INFERENCE} needs ONNX Runtime; {INSTALL}")
    from lawow.runtime.nn.grant import InferenceGrant

    found: dict[str, str] = {}
    for text in models:
        name, path = parse_model(text)
        if name in found:
            raise UsageError(f"two models are named {name}: {found[name]} and {path}")
        found[name] = path
    return InferenceGrant(found, device)


def parse_model(text: str) -> tuple[str, str]:
    """Return name and path of ``NAME=FILE``. Raises `UsageError` for another form, or if FILE is no file."""
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise UsageError(f"{text!r} names no model; give NAME=FILE")
    if "\0" in text or not os.path.isfile(path):
        raise UsageError(f"the model {name} cannot be granted: {path!r} is no file")
    return name, path


def parse_directory(text: str) -> Directory:
    """Return the folder that ``HOST::GUEST`` or ``HOST::GUEST:ro`` grants.

    Raises `UsageError` for another form, or if HOST is no folder.
    """
    host, separator, guest = text.partition("::")
    name, colon, mode = guest.partition(":")
    if not separator or not host or not name or (colon and mode != _READ_ONLY):
        raise UsageError(f"{text!r} grants no folder; give HOST::GUEST, or HOST::GUEST:ro for reading only")
    if "\0" in text:
        raise UsageError("the name of a folder cannot hold a zero byte")
    if not os.path.isdir(host):
        raise UsageError(f"{host} cannot be granted: it is no folder")
    return Directory(host, name, not mode)


def parse_variable(text: str) -> tuple[str, str]:
    """Return name and value of ``NAME=VALUE``; ``NAME`` alone stands for this process's value.

    Raises `UsageError` for another form, or if this process has no such variable.
    """
    name, separator, value = text.partition("=")
    if not name or "\0" in text:
        raise UsageError(f"{text!r} is no variable; give NAME=VALUE, or NAME to pass on your own")
    if not separator:
        if name not in os.environ:
            raise UsageError(f"the environment has no variable {name} to pass on; give {name}=VALUE")
        value = os.environ[name]
    return name, value
