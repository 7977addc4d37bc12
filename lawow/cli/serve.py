"""``lawow serve``: run the edge."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.errors import UsageError
from lawow.limits import EDGE, EdgeLimits

__all__ = ["command", "require_edge_extra"]

if TYPE_CHECKING:
    from lawow.server.tracing import Tracing

MIB = 1 << 20


class _Mebibytes(click.IntRange):
    """A whole number of MiB, as it always was here, or with the unit, as other commands take sizes."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        match = re.fullmatch(r"(\d{1,9})(MiB|GiB)", text)
        number = text if match is None else int(match[1]) * (1024 if match[2] == "GiB" else 1)
        return int(super().convert(number, param, ctx))  # type: ignore[arg-type]  # it takes texts, too


def require_edge_extra() -> None:
    """Raise `UsageError` with the command that installs what the edge needs, if it is not there."""
    needed = ("fastapi", "uvicorn", "httptools", "uvloop", "prometheus_client", "websockets")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise UsageError(f"`lawow serve` needs {', '.join(missing)}: pip install 'lawow[edge]'")


def _limits(deadline: float, memory: int, workers: int) -> EdgeLimits:
    return replace(EDGE, deadline_seconds=deadline, memory_bytes=memory * MIB, workers=workers)


def _ports(text: str) -> range:
    """Return the ports of ``A-B``, both included. Raises `UsageError`."""
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) <= 65535):
        raise UsageError(f"--data-ports is A-B, two ports of which the first is not larger; not {text!r}")
    return range(int(first), int(last) + 1)


@click.command("serve", short_help="Run the edge.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address or name to listen on.")
@click.option("--port", default=8443, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option(
    "--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to keep."
)
@click.option(
    "--cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate, PEM."
)
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key, PEM.")
@click.option(
    "--deadline",
    default=EDGE.deadline_seconds,
    show_default=True,
    help="Longest call, seconds.",
    type=click.FloatRange(0.01, 300),
)
@click.option(
    "--memory",
    default=EDGE.memory_bytes // MIB,
    show_default=True,
    help="Of one instance, MiB; 64, 64MiB or 1GiB.",
    type=_Mebibytes(1, 4096),
)
@click.option(
    "--workers",
    default=EDGE.workers,
    show_default=True,
    help="Tenants that compute at one time.",
    type=click.IntRange(1, 1024),
)
@click.option(
    "--client-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take client certificates that the authorities in this PEM file vouch for.",
)
@click.option(
    "--require-client-certificate", "requires_client", is_flag=True, help="Serve nobody without one."
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Answer GET /metrics without a token on 127.0.0.1, at this port; 0: a free one.",
)
@click.option("--otlp", metavar="URL", help="Send traces there by OTLP/HTTP: https://HOST:4318/v1/traces.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the log."
)
@click.option(
    "--drain",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 600),
    help="Seconds to say not ready, and serve on, before SIGTERM closes the port.",
)
@click.option(
    "--hosts",
    "hosts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Other hosts to offer, and figures about this one; TOML.",
)
@click.option(
    "--data-ports",
    metavar="A-B",
    callback=lambda _, __, text: None if text is None else _ports(text),
    help="Ports of the data plane, one for each worker that serves leases. Default: free ones.",
)
@click.option(
    "--origin",
    "origins",
    metavar="URL",
    multiple=True,
    help="Let pages of this origin, https://NAME, open WebSockets, besides the edge's own. Repeatable.",
)
@click.option("--announce", is_flag=True, help="Let devices of this network find the edge: multicast DNS.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON: url, pin, metrics.")
def command(
    host: str,
    port: int,
    data: Path,
    cert: Path | None,
    key: Path | None,
    deadline: float,
    memory: int,
    workers: int,
    client_ca: Path | None,
    requires_client: bool,
    metrics_port: int | None,
    otlp: str | None,
    log_format: str,
    drain: float,
    hosts_file: Path | None,
    data_ports: range | None,
    origins: tuple[str, ...],
    announce: bool,
    as_json: bool,
) -> None:
    """Keep WebAssembly modules of several tenants in --data and call their exports over HTTP.

    Beyond loopback only HTTPS is spoken, so --cert and --key are needed there. The log goes to standard
    error; SIGTERM ends the edge after the calls under way. docs/edge.md is the operator's guide.
    """
    require_edge_extra()
    from lawow.edge.hosts import look_at_this_host
    from lawow.edge.hosts_file import read_hosts
    from lawow.server.announcing import announced, require_zeroconf
    from lawow.server.app import Edge, serve
    from lawow.server.data_listeners import DataPlaneListeners
    from lawow.server.listener import open_listener, require_tls_beyond_loopback, url_of
    from lawow.server.log import EventLog
    from lawow.server.tls import read_leaf, server_context
    from lawow.server.websocket_gate import normal_origin

    pages = [normal_origin(item) for item in origins]
    if (cert is None) != (key is None):
        raise UsageError("--cert and --key belong together; `lawow certificate` makes both")
    if (client_ca is not None and cert is None) or (requires_client and client_ca is None):
        raise UsageError("--require-client-certificate needs --client-ca, and that --cert and --key")
    if announce:
        require_zeroconf()
    require_tls_beyond_loopback(host, has_tls=cert is not None)
    pin = read_leaf(cert).pin if cert is not None else None
    context = None
    if cert is not None and key is not None:
        context = server_context(cert, key, client_ca, requires_client=requires_client)
    tracing = _tracing(otlp) if otlp is not None else None
    limits = _limits(deadline, memory, workers)
    hosts = () if hosts_file is None else read_hosts(hosts_file, look_at_this_host(limits))
    listener = open_listener(host, port)
    inner = open_listener("127.0.0.1", metrics_port) if metrics_port is not None else None
    listeners = DataPlaneListeners(host, cert is not None, data_ports)
    edge = Edge(data, EventLog(as_json=log_format == "json"), limits, hosts, listeners)
    edge.tracing = tracing
    edge.readiness.drain_seconds = drain
    url = url_of(host, listener, has_tls=context is not None)
    metrics = f"{url_of('127.0.0.1', inner, has_tls=False)}/metrics" if inner is not None else None
    facts = {"url": url, "pin": pin, "metrics": metrics}
    line = json.dumps(facts) if as_json else _greeting(url, pin, data)
    with announced(host, listener.getsockname()[1], pin) if announce else nullcontext():
        pages.append(normal_origin(url))
        serve(edge, listener, context, lambda: print(line, flush=True), inner, pages)


def _tracing(url: str) -> Tracing:
    """Return what sends traces. Raises `UsageError` where the packages for it are missing."""
    missing = [name for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp") if not _is_there(name)]
    if missing:
        raise UsageError(f"--otlp needs {', '.join(missing)}: pip install 'lawow[otel]'")
    from lawow.server.tracing import Tracing, otlp_processor

    return Tracing(otlp_processor(url))


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package above it
        return False


def _greeting(url: str, pin: str | None, data: Path) -> str:
    certificate = f" (certificate SHA-256 {pin})" if pin else ""
    return f"edge at {url}{certificate}; for a token: lawow token --data {data} --tenant NAME"
