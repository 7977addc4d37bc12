"""What requests leave in the audit log, and what happens where it cannot be written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from lawow.device.offload_handler import OffloadHandler
from lawow.edge.audit import AuditLog, AuditRecord
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import TokenTerms
from tests.edge.builders import numbered
from tests.server.running import RunningEdge, issue_token, running_edge

NUMBER = numbered(7)


def records(data: Path) -> list[AuditRecord]:
    database = Database(DataFolder(data).database)
    found = AuditLog(database).show(1000)
    database.close()
    return found


def test_uploads_are_recorded_done_or_refused_and_calls_are_not(
    edge: RunningEdge, new_tenant: Callable[[], str]
) -> None:
    tenant = new_tenant()
    edge.tokens["read-only"] = issue_token(edge.data, tenant, TokenTerms(("read",)))
    before = records(edge.data)[-1].number
    edge.put(tenant, NUMBER.wasm, NUMBER.digest)
    edge.put(tenant, b"no module", NUMBER.digest)
    edge.put("read-only", NUMBER.wasm, NUMBER.digest)
    edge.call(tenant, NUMBER.digest, "number")
    edge.ask("GET", "/v1/modules", tenant)
    found = [item for item in records(edge.data) if item.number > before and item.action == "put_module"]
    assert [item.outcome for item in found] == ["done-201", "bad-module", "forbidden"]
    assert all(item.who.startswith(f"tenant:{tenant}:t") for item in found)
    assert {item.subject for item in found} == {f"sha256:{NUMBER.digest}"}
    assert len({item.who for item in found}) == 2  # which token, too


def test_a_lease_is_recorded_from_its_beginning_to_its_end(
    edge: RunningEdge, new_tenant: Callable[[], str]
) -> None:
    tenant = new_tenant()
    edge.put(tenant, NUMBER.wasm, NUMBER.digest)
    with edge.client(tenant) as client:
        handler = OffloadHandler(client)
        offers = handler.request(NUMBER.wasm)
        handler.recall(handler.select(offers, offers.offers[0]))
    found = [item for item in records(edge.data) if item.who.startswith(f"tenant:{tenant}:")]
    assert [item.action for item in found] == ["put_module", "select_offer", "end_lease"]
    assert found[1].subject == found[2].subject != ""


def test_what_cannot_be_recorded_is_not_answered_as_done(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        edge.put("acme", NUMBER.wasm, NUMBER.digest)
        connection = sqlite3.connect(edge.data / "edge.sqlite")
        connection.execute("DROP TABLE audit")
        connection.close()
        more = numbered(8)
        assert edge.put("acme", more.wasm, more.digest).refused_with(507, "storage-failed")
        assert edge.put("acme", b"no module", more.digest).refused_with(422, "bad-module")
        assert edge.call("acme", NUMBER.digest, "number").json["results"] == [7]
        assert edge.log.read_text().count("audit-not-written") == 2
