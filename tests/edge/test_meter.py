"""Counting usage: what is written when, what a new day does, what a broken disk does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.meter import Meter, read_usage
from lawow.edge.rates import RateLimiter
from lawow.edge.refusals import QuotaExceeded, StorageFailed
from lawow.edge.tenants import Tenants


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(DataFolder(tmp_path / "data").database)
    Tenants(database).add("acme")
    return database


def meter_of(database: Database, day: list[int]) -> Meter:
    return Meter(database, Tenants(database).policy, lambda: day[0])


def test_calls_write_nothing_until_they_are_flushed_together(database: Database) -> None:
    meter = meter_of(database, [1])
    before = database.change_number()
    for _ in range(1000):
        meter.admit_call("acme")
        meter.charge("acme", 0.25)
    assert database.change_number() == before
    assert read_usage(database, "acme", 1).calls == 0
    meter.flush()
    usage = read_usage(database, "acme", 1)
    assert (usage.calls, usage.cpu_seconds) == (1000, 250.0)
    written = database.change_number()
    meter.flush()
    assert database.change_number() == written


def test_a_new_day_begins_at_nothing_and_the_old_one_is_still_written(database: Database) -> None:
    day = [1]
    meter = meter_of(database, day)
    Tenants(database).change("acme", {"calls": 1})
    meter.admit_call("acme")
    with pytest.raises(QuotaExceeded):
        meter.admit_call("acme")
    day[0] = 2
    meter.admit_call("acme")
    meter.flush()
    assert [read_usage(database, "acme", number).calls for number in (1, 2)] == [1, 1]


def test_what_could_not_be_written_is_written_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = meter_of(database, [1])
    meter.admit_call("acme")
    with monkeypatch.context() as patch:
        patch.setattr("lawow.edge.database.Database.transaction", broken)
        with pytest.raises(StorageFailed):
            meter.flush()
    meter.flush()
    assert read_usage(database, "acme", 1).calls == 1


def broken(_: Database) -> None:
    raise StorageFailed("the disk is full")


def test_another_meter_goes_on_where_the_first_one_stopped(database: Database) -> None:
    first = meter_of(database, [1])
    first.admit_call("acme")
    first.flush()
    Tenants(database).change("acme", {"calls": 1})
    with pytest.raises(QuotaExceeded) as caught:
        meter_of(database, [1]).admit_call("acme")
    assert caught.value.details() == {"code": "quota-exceeded", "quota": "calls", "limit": 1, "used": 1}


def test_usage_of_long_ago_is_forgotten(database: Database) -> None:
    day = [1]
    meter = meter_of(database, day)
    meter.admit_call("acme")
    meter.flush()
    day[0] = 500
    meter.admit_call("acme")
    meter.flush()
    assert read_usage(database, "acme", 1).calls == 0


def test_connections_are_given_back(database: Database) -> None:
    meter = meter_of(database, [1])
    Tenants(database).change("acme", {"connections": 2})
    meter.enter_connection("acme")
    meter.enter_connection("acme")
    with pytest.raises(QuotaExceeded):
        meter.enter_connection("acme")
    meter.leave_connection("acme")
    meter.enter_connection("acme")
    assert meter.refusals == {"connections": 1}


def test_a_rate_refills_with_time_and_follows_its_changes() -> None:
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    assert [limiter.take("a", 2, 2) for _ in range(2)] == [None, None]
    assert limiter.take("a", 2, 2) == pytest.approx(0.5)
    assert limiter.take("b", 2, 2) is None
    now[0] = 0.5
    assert limiter.take("a", 2, 2) is None
    assert limiter.take("c", 0, 0) == 3600.0
