"""Answers that are given twice: a POST with an ``Idempotency-Key`` has its effect once.

The effect and its answer are committed in one transaction, so a crash leaves both or none, and whoever asks
again with the same key gets the same answer. An answer may hold a lease's token, which is kept nowhere in
clear: it is sealed with the key that the client chose (AES-256-GCM), of which only a hash is kept. So a key
is at least 16 characters that nobody can guess.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lawow.edge.clock import Clock
from lawow.edge.database import Database
from lawow.edge.refusals import BadRequest, Conflict
from lawow.limits import EDGE, EdgeLimits

__all__ = ["Answers", "Document", "Effect", "require_key"]

KEY = re.compile(r"[!-~]{16,128}")
NONCE_BYTES = 12
Document = dict[str, object]
Effect = Callable[[sqlite3.Connection], Document]
"""Changes the database within a transaction and returns the answer."""


class Answers:
    """The answers of all tenants, each for `EdgeLimits.remembered_seconds`."""

    def __init__(self, database: Database, clock: Clock, limits: EdgeLimits = EDGE) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits

    def once(self, tenant: str, key: str | None, asked: Document, effect: Effect) -> Document:
        """Have an effect and return its answer; with a key that had its effect already, that answer alone.

        Both are on the disk when this returns. `asked` is the request: the same key with another one is a
        `Conflict`. Raises `BadRequest` for a key that can be guessed, and what `effect` raises.
        """
        if key is not None:
            require_key(key)
        with self._database.transaction() as connection:
            known = None if key is None else self._find(connection, tenant, key, asked)
            if known is not None:
                return known
            answer = effect(connection)
            if key is not None:
                self._keep(connection, tenant, key, asked, answer)
            return answer

    def forget_old(self, connection: sqlite3.Connection) -> None:
        """Forget what has been kept for long enough."""
        connection.execute("DELETE FROM answers_given WHERE expires_unix <= ?", (self._clock(),))

    def _find(
        self, connection: sqlite3.Connection, tenant: str, key: str, asked: Document
    ) -> Document | None:
        row = connection.execute(
            "SELECT asked_sha256, answer FROM answers_given "
            "WHERE tenant = ? AND key_sha256 = ? AND expires_unix > ?",
            (tenant, _hash(key), self._clock()),
        ).fetchone()
        if row is None:
            return None
        if row[0] != _fingerprint(asked):
            raise Conflict("this Idempotency-Key was used for another request; make a new one for each")
        return _unseal(key, row[1])

    def _keep(
        self, connection: sqlite3.Connection, tenant: str, key: str, asked: Document, answer: Document
    ) -> None:
        row = (tenant, _hash(key), _fingerprint(asked), _seal(key, answer))
        expires = self._clock() + self._limits.remembered_seconds
        connection.execute("INSERT OR REPLACE INTO answers_given VALUES (?, ?, ?, ?, ?)", (*row, expires))


def require_key(key: str) -> None:
    """Raise `BadRequest` for a key that can be guessed."""
    if not KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key has 16 to 128 printable characters that nobody can guess")


def _hash(key: str) -> bytes:
    return hashlib.sha256(b"lawow find " + key.encode()).digest()


def _fingerprint(asked: Document) -> bytes:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def _cipher(key: str) -> AESGCM:
    return AESGCM(hashlib.sha256(b"lawow seal " + key.encode()).digest())


def _seal(key: str, answer: Document) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, json.dumps(answer).encode(), None)


def _unseal(key: str, sealed: bytes) -> Document:
    try:
        document = json.loads(_cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None))
    except InvalidTag:
        raise Conflict(
            "the answer that was kept for this Idempotency-Key is damaged; make a new one"
        ) from None
    assert isinstance(document, dict)  # `_seal` took nothing else
    return document
