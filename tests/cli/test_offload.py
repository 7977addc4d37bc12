"""``lawow offload`` and ``lawow leases`` against `lawow serve` over TLS, and the handler behind them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lawow.device.control_client import ControlClient
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.device.offload_handler import OffloadHandler
from lawow.errors import Refused, UsageError
from tests.conftest import lawow
from tests.server.running import RunningEdge, running_edge
from tests.server.test_offload_sequence import COUNTER

OTHER = "https://other.example:8443"
HOSTS = f"""
[this-host]
currency = "EUR"
price_per_hour = {{ value = 0.02, provenance = "stated", source = "tariff" }}

[[hosts]]
name = "other"
url = "{OTHER}"
certificate_sha256 = "{"ab" * 32}"
cpu_cores = 64
memory_bytes = 1073741824
engine = "wasmtime"
engine_version = "50.0.1"
accelerators = ["cuda"]
"""


@dataclass(frozen=True)
class Secure:
    """An edge over TLS, and what a device needs for it."""

    edge: RunningEdge
    pin: str
    token_file: Path
    module: Path

    @property
    def trust(self) -> tuple[str | Path, ...]:
        return (
            "--edge",
            self.edge.url,
            "--token-file",
            self.token_file,
            "--certificate-sha256",
            self.pin,
        )

    def client(self, tenant: str = "acme") -> EdgeClient:
        return EdgeClient(self.edge.url, self.edge.token(tenant), certificate_sha256=self.pin)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("offload")
    made = json.loads(lawow("certificate", "--out", folder / "tls", "--host", "127.0.0.1", "--json").stdout)
    hosts, module, token = folder / "hosts.toml", folder / "counter.wasm", folder / "token"
    hosts.write_text(HOSTS)
    module.write_bytes(COUNTER.wasm)
    serve = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(folder / "data")]
    command = [*serve, "--cert", made["cert"], "--key", made["key"], "--hosts", str(hosts)]
    with running_edge(folder / "data", command=command) as edge:
        token.write_text(edge.token("acme"))
        yield Secure(edge, made["pin"], token, module)


def test_the_command_brings_a_module_cold_and_then_warm(secure: Secure) -> None:
    required = ("--require", "engine=wasmtime,price_ceiling=0.05,currency=EUR")
    cold = json.loads(lawow("offload", secure.module, *secure.trust, *required, "--json").stdout)
    warm = json.loads(lawow("offload", secure.module, *secure.trust, "--choice", "provider", "--json").stdout)
    assert (cold["state"], cold["transferred_bytes"]) == ("initialised", len(COUNTER.wasm))
    assert (warm["state"], warm["transferred_bytes"]) == ("initialised", 0)
    shown = lawow("offload", secure.module, *secure.trust).stdout
    assert "nothing: the host has it" in shown
    listed = lawow("leases", *secure.trust).stdout
    assert cold["lease"] in listed
    assert len(json.loads(lawow("leases", *secure.trust, "--json").stdout)["leases"]) == 3


def test_what_this_edge_lacks_is_refused_with_where_it_is(secure: Secure) -> None:
    done = lawow("offload", secure.module, *secure.trust, "--require", "accelerator=cuda", check=False)
    assert done.returncode == 4
    assert OTHER in done.stderr
    wrong = lawow("offload", secure.module, *secure.trust, "--require", "speed=9", check=False)
    assert wrong.returncode == 2
    assert "cpu_cores" in wrong.stderr


def test_a_handler_requests_selects_calls_and_recalls(secure: Secure) -> None:
    with secure.client() as client:
        handler = OffloadHandler(client)
        offers = handler.request(COUNTER.wasm, requirements={"latency_seconds": 5.0})
        assert [offer.host for offer in offers.offers] == ["this-host"]
        item = handler.select(offers, offers.offers[0])
        assert handler.offloaded == [item]
        assert [item.call("add", "i>i", [2]).results for _ in range(2)] == [(2,), (4,)]
        handler.refresh()
        assert item.state == "connected"
        item.control.rest(item.lease)
        handler.reactivate(item)
        assert item.call("add", "i>i", [2]).results == (2,)
        state = handler.synchronise(item)
        assert item.call("add", "i>i", [3]).results == (5,)
        handler.synchronise(item, state)
        assert item.call("add", "i>i", [4]).results == (6,)
        with pytest.raises(EdgeProblem):
            handler.synchronise(item, b"no state at all")
        assert item.call("add", "i>i", [1]).results == (7,)
        home = handler.recall(item)
        assert home
        assert (item.state, handler.offloaded) == ("recalled", [])
        with pytest.raises(EdgeProblem, match="recalled"):
            item.call("add", "i>i", [1])
        again = handler.request(COUNTER.wasm, choice="provider").selected
        assert again is not None
        handler.synchronise(again, home)
        assert again.call("add", "i>i", [1]).results == (8,)


def test_an_offer_of_another_edge_is_not_followed_with_this_token(secure: Secure) -> None:
    with secure.client() as client:
        handler = OffloadHandler(client)
        offers = handler.request(COUNTER.wasm, choice="mixed", requirements={"cpu_cores": 64})
        assert [offer.url for offer in offers.offers] == [OTHER]
        with pytest.raises(Refused, match="give a client"):
            handler.select(offers, offers.offers[0])
        with pytest.raises(EdgeProblem, match="edge of its own"):
            ControlClient(client).select(offers.offers[0].id)
        with pytest.raises(UsageError):
            handler.request()


def test_a_second_device_joins_the_shared_instance(secure: Secure) -> None:
    with secure.client() as first, secure.client() as second, secure.client("friend") as third:
        owner = OffloadHandler(first)
        item = owner.request(COUNTER.wasm, choice="provider").selected
        assert item is not None
        item.call("add", "i>i", [1])
        item.control.share("map", item.lease, ("friend",))
        for client, name, expected in ((second, "map", 2), (third, "acme/map", 3)):
            joined = OffloadHandler(client).request(shared=name, choice="provider").selected
            assert joined is not None
            assert joined.transferred_bytes == 0
            assert joined.call("add", "i>i", [1]).results == (expected,)
