"""Where the data plane listens: ports of a range, and a key for each worker."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner

from lawow.cli.serve import command
from lawow.errors import UsageError
from lawow.server.data_listeners import DataPlaneListeners


def test_the_first_free_port_of_the_range_is_taken_and_none_beyond_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="no port of --data-ports is free"):
            DataPlaneListeners("127.0.0.1", False, range(port, port + 1)).settings().open_listener()
    ports = range(port, port + 1)
    with DataPlaneListeners("127.0.0.1", False, ports).settings().open_listener() as listener:
        assert listener.getsockname()[1] == port
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_every_worker_has_a_key_of_its_own(tmp_path: Path) -> None:
    settings = DataPlaneListeners("127.0.0.1", True).settings()
    first, second = settings.make_identity(), settings.make_identity()
    assert first.certificate_sha256 != second.certificate_sha256
    assert first.pem != second.pem
    (tmp_path / "identity").write_bytes(first.pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "identity")  # OpenSSL takes it
    assert DataPlaneListeners("127.0.0.1", False).settings().make_identity().pem == b""


@pytest.mark.parametrize("text", ["", "1", "0-5", "9-8", "1-65536", "a-b", "1-2-3", "-5"])
def test_what_is_no_range_of_ports_is_refused(text: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--data", str(tmp_path / "data"), "--data-ports", text])
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "data").exists()
