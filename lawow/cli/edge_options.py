"""What the commands that speak to an edge have in common: which edge, the token, and the trust in it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.errors import FormatError, UsageError

__all__ = ["WASM_MAGIC", "EdgeOptions", "named_if_bad", "with_edge"]

TOKEN_VARIABLE = "LAWOW_TOKEN"
ANSWER_SECONDS = 60.0
WASM_MAGIC = b"\0asm"
BAD_MODULE = "bad-module"
"""The edge's word for a file that is no module or bundle, or one that it does not take."""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """The edge of a command line."""

    url: str
    token_file: Path | None
    certificate_sha256: str | None
    ca_file: Path | None
    client_cert: Path | None
    client_key: Path | None

    def client(self, timeout_seconds: float = ANSWER_SECONDS) -> EdgeClient:
        """Return a client of that edge. Raises as `EdgeClient`, and `UsageError` without a token."""
        if (self.client_cert is None) != (self.client_key is None):
            raise UsageError("--client-cert and --client-key belong together; `lawow certs issue` makes both")
        own = (self.client_cert, self.client_key) if self.client_cert and self.client_key else None
        return EdgeClient(
            self.url,
            self._token(),
            certificate_sha256=self.certificate_sha256,
            ca_file=self.ca_file,
            client_certificate=own,
            timeout_seconds=timeout_seconds,
        )

    def _token(self) -> str:
        """Return the token in a file, or in the environment; never quotes a token."""
        path = self.token_file
        text = path.read_text(errors="replace") if path is not None else os.environ.get(TOKEN_VARIABLE, "")
        if not text.strip():
            source = f"{path} is empty" if path else f"there is neither --token-file nor {TOKEN_VARIABLE}"
            raise UsageError(f"{source}; `lawow token` on the edge makes a token")
        return text.strip()


@contextmanager
def named_if_bad(file: Path) -> Iterator[None]:
    """Raise `FormatError` with the file's name for what the edge says of a module that it does not take."""
    try:
        yield
    except EdgeProblem as problem:
        if problem.code != BAD_MODULE:
            raise
        raise FormatError(str(problem), file=str(file)) from None


OPTIONS = (
    click.option("--edge", "url", required=True, metavar="URL", help="https://HOST:PORT of the edge."),
    click.option(
        "--token-file", type=_FILE, help=f"File with the token; else the environment's {TOKEN_VARIABLE}."
    ),
    click.option("--certificate-sha256", metavar="HEX", help="Trust the edge by the pin of its certificate."),
    click.option(
        "--ca", "ca_file", type=_FILE, help="Trust what the certificates in this PEM file vouch for."
    ),
    click.option(
        "--client-cert",
        type=_FILE,
        help="Certificate of the token's tenant, for an edge that asks for one.",
    ),
    click.option("--client-key", type=_FILE, help="Its key, PEM."),
)


def with_edge(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name an edge and say by what it is trusted; `function` gets them as `edge`."""

    @functools.wraps(function)
    def command(
        *,
        url: str,
        token_file: Path | None,
        certificate_sha256: str | None,
        ca_file: Path | None,
        client_cert: Path | None,
        client_key: Path | None,
        **others: object,
    ) -> None:
        edge = EdgeOptions(url, token_file, certificate_sha256, ca_file, client_cert, client_key)
        function(edge=edge, **others)

    for option in reversed(OPTIONS):
        command = option(command)
    return command
