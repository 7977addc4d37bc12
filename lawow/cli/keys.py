"""The signing key of a command line: which, from which file, with which password; and reading files whole.

Passwords never stand on a command line, where every process could read them: they come from the environment
or are asked for on a terminal.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.option_groups import Decorator, option_group
from lawow.errors import LimitExceeded, UsageError

if TYPE_CHECKING:
    from lawow.formats.signing import SigningKey

__all__ = ["KeyOptions", "key_options", "load_key", "read_file", "require_key"]

KEYSTORE_PASSWORD = "LAWOW_KEYSTORE_PASSWORD"
KEY_PASSWORD = "LAWOW_KEY_PASSWORD"
KEYSTORE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Which key signs."""

    keystore: Path | None
    alias: str | None
    debug: bool


def key_options(prefix: str = "") -> Decorator:
    """Return a decorator that adds the options of a key, which reach the command as `keys`."""
    file = click.Path(path_type=Path, dir_okay=False)
    return option_group(
        "keys",
        KeyOptions,
        click.option("--keystore", metavar="FILE", type=file, help=f"{prefix}PKCS#12 or PEM file."),
        click.option(
            "--key-alias", "alias", metavar="NAME", help=f"{prefix}Key in the keystore, if it holds several."
        ),
        click.option(
            "--debug-key",
            "debug",
            is_flag=True,
            help=f"{prefix}Sign with a fresh key; for tests on your own device.",
        ),
    )


def require_key(keys: KeyOptions, *, subject: str, optional: bool = False) -> None:
    """Raise `UsageError` unless exactly one key is named, or none where it is `optional`.

    `subject` starts the sentence on a missing key: ``the slim APK must be signed``.
    """
    if keys.keystore and keys.debug:
        raise UsageError("give --keystore or --debug-key, not both")
    if keys.alias and not keys.keystore:
        raise UsageError("--key-alias needs --keystore")
    if not (optional or keys.keystore or keys.debug):
        raise UsageError(f"{subject}: give --keystore FILE, or --debug-key for a test on your own device")


def load_key(keys: KeyOptions) -> SigningKey:
    """Read the key, or make a debug key. Raises `KeystoreError`, and `OSError` naming the file."""
    from lawow.formats.signing import debug_key, load_keystore

    if keys.keystore is None:
        return debug_key()
    data = read_file(keys.keystore, KEYSTORE_BYTES)
    password = os.environ.get(KEYSTORE_PASSWORD)
    if password is None and not data.lstrip().startswith(b"-----BEGIN") and sys.stdin.isatty():
        password = click.prompt(f"Password of {keys.keystore}", hide_input=True, err=True)
    return load_keystore(
        data,
        password=password,
        key_password=os.environ.get(KEY_PASSWORD),
        alias=keys.alias,
        name=str(keys.keystore),
    )


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Read a file of at most `limit_bytes`. Raises `LimitExceeded` without having read more."""
    with path.open("rb") as stream:
        data = stream.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        size = max(len(data), path.stat().st_size)
        raise LimitExceeded("file size in bytes", size, limit_bytes, subject=str(path))
    return data
