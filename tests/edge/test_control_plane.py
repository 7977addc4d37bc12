"""The parts of the control plane alone: the table of states, leases on a fake clock, hosts, power cuts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from lawow.edge.clock import steady_clock
from lawow.edge.database import Database
from lawow.edge.hosts import HERE, Figure, look_at_this_host
from lawow.edge.hosts_file import read_hosts
from lawow.edge.lease_states import ENDED, TRANSITIONS, Event, State, next_state, state_table
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.refusals import Conflict, LeaseEnded, NotFound
from lawow.edge.resource_manager import Requirements, Reservation, ResourceManager
from lawow.errors import FormatError
from lawow.limits import EDGE
from lawow.runtime.places import VERSION
from tests.conftest import ROOT

KILLS = int(os.environ.get("LAWOW_KILLS", "8"))


def test_the_guide_has_the_table_of_states_as_it_is() -> None:
    assert state_table() in (ROOT / "docs" / "edge.md").read_text()


def test_every_state_is_reached_and_every_one_that_lasts_can_end() -> None:
    """By the table alone: a walk from `requested` meets all, and from each an end can be reached."""
    reached, before = {State.REQUESTED}, set()
    while reached != before:
        before = set(reached)
        reached |= {item.target for item in TRANSITIONS if set(item.sources) & reached}
    assert reached == set(State)
    for state in set(State) - set(ENDED):
        assert next_state(state, Event.EXPIRE) is State.EXPIRED
    for state in ENDED:
        for event in Event:
            with pytest.raises(LeaseEnded):
                next_state(state, event)
    with pytest.raises(Conflict, match="allows expire, select"):
        next_state(State.OFFERED, Event.CALL)


class Book:
    """Leases on a clock that a test sets."""

    def __init__(self, path: Path) -> None:
        self.now = 1000.0
        self.database = Database(path)
        self.leases = LeaseBook(self.database, lambda: self.now)

    def grant(self, tenant: str = "acme", shared: str = "") -> tuple[Lease, str]:
        with self.database.transaction() as connection:
            return self.leases.grant(connection, Reservation(tenant, HERE), "0" * 64, shared)


def test_a_lease_ends_when_its_time_is_over_and_use_renews_it_without_a_write_each_time(
    tmp_path: Path,
) -> None:
    book = Book(tmp_path / "db")
    lease, _ = book.grant()
    book.now += EDGE.lease_seconds / 4
    assert book.leases.renew(lease, by_use=True) is lease
    book.now += EDGE.lease_seconds / 2
    renewed = book.leases.renew(lease, by_use=True)
    assert renewed.expires_unix == book.now + EDGE.lease_seconds
    book.now = renewed.expires_unix
    assert book.leases.get("acme", lease.id).state is State.EXPIRED
    assert [item.id for item in book.leases.due()] == [lease.id]
    with pytest.raises(LeaseEnded):
        book.leases.renew(lease)
    with pytest.raises(LeaseEnded):
        book.leases.move(lease, Event.TRANSFER)


def test_a_token_opens_its_lease_alone_and_another_tenant_finds_none(tmp_path: Path) -> None:
    book = Book(tmp_path / "db")
    (lease, token), (other, _) = book.grant(), book.grant("other")
    assert book.leases.of_token(token) == lease
    with pytest.raises(NotFound):
        book.leases.of_token(token + "x")
    with pytest.raises(NotFound):
        book.leases.get("acme", other.id)


def test_the_end_of_a_lease_revokes_those_that_share_its_instance(tmp_path: Path) -> None:
    book = Book(tmp_path / "db")
    lease, _ = book.grant()
    guest, _ = book.grant("friend", lease.id)
    book.leases.move(lease, Event.RECALL)
    assert book.leases.get("friend", guest.id).state is State.REVOKED


def test_the_clock_does_not_jump_with_the_system_date(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = steady_clock()
    before = clock()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock() - before < 60


WRITER = """
import sys
from pathlib import Path
from tests.edge.test_control_plane import Book
book = Book(Path(sys.argv[1]))
while True:
    lease, _ = book.grant()
    print(lease.id, flush=True)
"""


@pytest.mark.promise("F2")
def test_kills_at_any_moment_lose_no_lease_that_was_acknowledged(tmp_path: Path) -> None:
    """SIGKILL between any two instructions; LAWOW_KILLS=100 for the long form."""
    random, acknowledged = Random(7), set()
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            acknowledged.add(process.stdout.readline().strip())
            time.sleep(random.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
    kept = {lease.id for lease in Book(tmp_path / "db").leases.of_tenant("acme")}
    assert acknowledged <= kept
    assert len(acknowledged) >= KILLS


def test_this_host_is_what_was_found_on_it(tmp_path: Path) -> None:
    host = look_at_this_host(devices=tmp_path)
    assert host.cpu_cores == len(os.sched_getaffinity(0))
    assert (host.engine, host.engine_version, host.tee) == ("wasmtime", VERSION, "")
    assert host.accelerators == ()
    assert host.price_per_hour is host.energy_mwh_per_call is host.round_trip_seconds is None
    (tmp_path / "sev-guest").touch()
    assert look_at_this_host(devices=tmp_path).tee == "sev-snp"


OTHER = """
[[hosts]]
name = "b"
url = "https://b.example"
certificate_sha256 = "%s"
cpu_cores = 4
memory_bytes = 1024
engine = "wasmtime"
engine_version = "50.0.1"
energy_mwh_per_call = { value = 0.06, provenance = "measured", source = "meter" }
""" % ("0" * 64)


def test_a_hosts_file_is_read_with_the_provenance_of_each_figure(tmp_path: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(
        f'[{HERE}]\ncurrency = "EUR"\nprice_per_hour = {{ value = 1, provenance = "stated" }}\n{OTHER}'
    )
    here, other = read_hosts(file, look_at_this_host())
    assert here.is_here
    assert here.price_per_hour == Figure(1.0, "stated")
    assert other.energy_mwh_per_call == Figure(0.06, "measured", "meter")
    manager = ResourceManager([other, here])
    assert [host.name for host in manager.match(Requirements(), "application").hosts] == [HERE, "b"]
    dear = Requirements(price_ceiling=0.5, currency="EUR")
    assert manager.match(dear, "application").hosts == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "b"', 'name = "B!"', "no name"),
        ('name = "b"', f'name = "{HERE}"', "two hosts"),
        ('name = "b"', "", "lacks name"),
        ("https://b.example", "http://b.example", "https://"),
        ("0" * 64, "0" * 63, "64 hex"),
        ("cpu_cores = 4", "cpu_cores = true", "whole number"),
        ("cpu_cores = 4", "cpu_cores = -4", "whole number"),
        ("cpu_cores = 4", "cores = 4", "unknown key 'cores'"),
        ('"measured"', '"guessed"', "measured, modelled, stated"),
        ("0.06", "nan", "from 0 on"),
        ("0.06", "true", "from 0 on"),
        ('engine = "wasmtime"', "engine = 5", "text"),
        ("[[hosts]]", "[[machines]]", "unknown key 'machines'"),
        ("[[hosts]]", "[hosts]", "list of tables"),
        ("[[hosts]]", "hosts = [1]\n[x]", "unknown key"),
        ("[[hosts]]", "[[hosts", "not TOML"),
    ],
)
def test_a_hosts_file_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    file = tmp_path / "hosts.toml"
    assert old in OTHER
    file.write_text(OTHER.replace(old, new, 1))
    with pytest.raises(FormatError, match=said) as error:
        read_hosts(file, look_at_this_host())
    assert error.value.file == str(file)
