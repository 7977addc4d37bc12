"""Who did what to this edge, and how it ended: a chain of records, each of which vouches for all before it.

A record is one JSON object; its hash is SHA-256 over the hash of the record before and its own text, so that
no record can be changed, removed or put in between without all later hashes being others. Whoever may write
the database can compute those anew: what holds him is a hash that was noted elsewhere, which `verify` looks
for. Records are written in the transaction of what they are about, or in one of their own before the answer;
arguments, tokens and keys are never in them. Beyond `EdgeLimits.audit_records` the oldest tenth goes; the
chain then begins behind it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lawow.edge.database import Database
from lawow.errors import Refused
from lawow.limits import EDGE

__all__ = ["AuditLog", "AuditRecord", "AuditState", "operator_name", "write_record"]

GENESIS = hashlib.sha256(b"lawow audit").hexdigest()
MAX_TEXT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record: `who` did `action` to `subject`; `outcome` is ``done`` or the code of the refusal."""

    number: int
    time: str
    who: str
    action: str
    subject: str
    outcome: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditState:
    """What a chain holds that is whole: how many records, the first one's number, the last one's hash."""

    records: int
    first: int
    head: str


def operator_name() -> str:
    """Return who runs this command, as the system knows him."""
    try:
        return f"operator:{getpass.getuser()}"
    except (OSError, KeyError):  # a user id without a name, as containers have
        return f"operator:{os.geteuid()}"


def write_record(
    connection: sqlite3.Connection, who: str, action: str, subject: str, outcome: str = "done"
) -> None:
    """Append a record within a transaction of `Database`: it is kept exactly if what it is about is."""
    row = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    number, before = (int(row[0]), str(row[1])) if row is not None else (0, GENESIS)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = {"time": stamp, "who": who, "action": action, "subject": subject, "outcome": outcome}
    text = json.dumps({key: value[:MAX_TEXT_CHARACTERS] for key, value in facts.items()})
    values = (number + 1, text, _hash(before, text))
    connection.execute("INSERT INTO audit VALUES (?, ?, ?)", values)


class AuditLog:
    """The chain of one database."""

    def __init__(self, database: Database, records: int = EDGE.audit_records) -> None:
        self._database = database
        self._records = records

    def write(self, who: str, action: str, subject: str, outcome: str) -> None:
        """Append a record; it is on the disk when this returns. Raises `StorageFailed`."""
        with self._database.transaction() as connection:
            write_record(connection, who, action, subject, outcome)
            self._rotate(connection)

    def show(self, last: int) -> list[AuditRecord]:
        """Return the last so many records, oldest first."""
        rows = self._database.query(
            "SELECT number, record, hash FROM audit ORDER BY number DESC LIMIT ?", (last,)
        )
        return [_record(row) for row in reversed(rows)]

    def verify(self, head: str | None = None) -> AuditState:
        """Return what the chain holds. Raises `Refused` at the first record that does not fit.

        `head` is a hash noted earlier, of any record: it must be in the chain still, or nobody can tell what
        was exchanged.
        """
        rows = self._database.query("SELECT number, record, hash FROM audit ORDER BY number")
        before = None
        for index, (number, text, found) in enumerate(rows):
            if number != _number(rows[0][0]) + index:
                raise Refused(f"audit record {_number(rows[0][0]) + index} is missing")
            # The first record that is left vouches for itself alone: what stood before it is gone.
            expected = found if before is None and number != 1 else _hash(before or GENESIS, str(text))
            if found != expected:
                raise Refused(f"audit record {number} was changed, or the one before it was")
            before = str(found)
        if head is not None and not any(row[2] == head for row in rows):
            raise Refused(f"no audit record has the hash {head}: records were exchanged, or it is long ago")
        return AuditState(len(rows), _number(rows[0][0]) if rows else 0, before or GENESIS)

    def _rotate(self, connection: sqlite3.Connection) -> None:
        first, last = connection.execute("SELECT MIN(number), MAX(number) FROM audit").fetchone()
        if last - first + 1 > self._records:
            cut = last - self._records + max(1, self._records // 10)
            connection.execute("DELETE FROM audit WHERE number <= ?", (cut,))


def _hash(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _record(row: Sequence[object]) -> AuditRecord:
    facts = json.loads(str(row[1]))
    return AuditRecord(
        _number(row[0]),
        facts["time"],
        facts["who"],
        facts["action"],
        facts["subject"],
        facts["outcome"],
        str(row[2]),
    )


def _number(value: object) -> int:
    assert isinstance(value, int)  # the table is STRICT
    return value
