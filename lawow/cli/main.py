"""The click group of all verbs, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import difflib
import importlib
import io
import json
import os
import sys
from contextlib import suppress

import click

from lawow import __version__
from lawow.errors import LawowError

__all__ = ["VERBS", "cli", "run"]

VERBS = {
    "pack": "lawow.cli.pack",
    "refactor": "lawow.cli.refactor",
    "profile": "lawow.cli.profile",
    "exec": "lawow.cli.exec",
    "engines": "lawow.cli.engines",
    "cache": "lawow.cli.cache",
    "sign": "lawow.cli.sign",
    "verify": "lawow.cli.verify",
    "doctor": "lawow.cli.doctor",
    "serve": "lawow.cli.serve",
    "tenant": "lawow.cli.tenant",
    "token": "lawow.cli.token",
    "certificate": "lawow.cli.certificate",
    "certs": "lawow.cli.certs",
    "audit": "lawow.cli.audit",
    "top": "lawow.cli.top",
    "upload": "lawow.cli.upload",
    "offload": "lawow.cli.offload",
    "leases": "lawow.cli.offload:leases",
    "edges": "lawow.cli.edges",
    "metrics": "lawow.cli.metrics",
    "build": "lawow.cli.build",
    "bench": "lawow.cli.bench",
    "trace": "lawow.cli.trace",
    "simulate": "lawow.cli.simulate",
}
"""Verb -> module that defines its click command, as ``command`` or under the name behind a colon.

Imported when the verb is used.
"""


class _Verbs(click.Group):
    """A group whose commands are imported on demand, in the order of `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name or "command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], VERBS, n=1)
        if args[0] not in VERBS and near:
            ctx.fail(f"No such command '{args[0]}'; did you mean {near[0]}?")
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lawow")
def cli() -> None:
    """Move compute off a phone and onto an edge server, as WebAssembly.

    pack embeds modules and a Wasm runtime into an Android app, refactor splits an APK into a slim APK and an
    offload bundle, build compiles C and Python, exec runs an export, sign and verify are about an APK's
    signatures, doctor tells what keeps an APK from phones and Google Play, serve is the edge.
    """


def run() -> None:
    """Run `cli`; print any error as one sentence (or as JSON where ``--json`` was given) and exit."""
    _escape_what_cannot_be_written()
    try:
        status = cli.main(standalone_mode=False, prog_name="lawow")
    except click.exceptions.Abort:
        _finish("interrupted", {}, 1)
    except click.ClickException as error:
        if not _wants_json():
            error.show()
            sys.exit(error.exit_code)
        _finish(error.format_message(), {"error": type(error).__name__}, error.exit_code)
    except LawowError as error:
        _finish(str(error), {"error": type(error).__name__, **error.details()}, error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away; what matters was done. Keep the interpreter from complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _finish(_os_sentence(error), {"error": "OSError", "errno": error.errno}, 1)
    except MemoryError:
        _finish("out of memory", {"error": "MemoryError"}, 1)
    sys.exit(status if isinstance(status, int) else 0)


def _finish(sentence: str, details: dict[str, object], exit_code: int) -> None:
    """Print one error and end the process."""
    print(f"lawow: {sentence}", file=sys.stderr)
    if _wants_json():
        with suppress(OSError):  # the full disk of which this error tells, perhaps; the sentence is out
            print(json.dumps({**details, "message": sentence, "exit_code": exit_code}), flush=True)
    sys.exit(exit_code)


def _wants_json() -> bool:
    return "--json" in sys.argv


def _escape_what_cannot_be_written() -> None:
    """Write what the output's encoding lacks, such as a byte of a file's name, as an escape: no traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _os_sentence(error: OSError) -> str:
    """Say what the system refused, and for which file."""
    reason = (error.strerror or str(error)).lower()
    name = error.filename2 or error.filename
    return f"{os.fsdecode(name)}: {reason}" if isinstance(name, str | bytes) else reason
