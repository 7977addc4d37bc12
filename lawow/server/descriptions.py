"""What each route says about itself in the OpenAPI document, as one table.

`ROUTES` is also what the tests walk through to prove that no route lets anybody reach what is not theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from lawow.server.auth import PUBLIC_SCOPE, SCOPE_KEY
from lawow.server.problems import MEDIA_TYPE, PROBLEMS
from lawow.server.schemas import (
    BundleReceipt,
    CallRequest,
    CallResult,
    Health,
    Module,
    ModuleList,
    Readiness,
    Session,
)

__all__ = [
    "AUDIT_KEY",
    "IDEMPOTENCY_KEY",
    "JSON_MEDIA_TYPE",
    "METRICS_MEDIA_TYPE",
    "ROUTES",
    "STATE_MEDIA_TYPE",
    "VALUES_MEDIA_TYPE",
    "RouteDescription",
]

JSON_MEDIA_TYPE = "application/json"
VALUES_MEDIA_TYPE = "application/vnd.lawow.values"
STATE_MEDIA_TYPE = "application/vnd.lawow.state"
METRICS_MEDIA_TYPE = "text/plain"
TEXT = {"schema": {"type": "string"}}
BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}


AUDIT_KEY = "x-lawow-audited"
"""Where a route says in its OpenAPI operation whether it goes to the audit log."""
AUDITED_SCOPES = ("upload", "admin")
COMMON_PROBLEMS = ("unauthorized", "too-many-failures", "forbidden", "quota-exceeded")
UPLOAD_PROBLEMS = ("too-slow", "too-large", "unsupported-media-type", "bad-module", "busy", "storage-failed")
CALL_PROBLEMS = (
    "bad-request",
    "not-found",
    "conflict",
    "too-slow",
    "signature-mismatch",
    "too-large",
    "unsupported-media-type",
    "bad-arguments",
    "trap",
    "busy",
    "worker-lost",
    "deadline",
)
SESSION_PROBLEMS = ("not-found", "session-lost")
OPEN_PROBLEMS = (
    "not-found",
    "too-large",
    "trap",
    "bad-module",
    "bad-arguments",
    "busy",
    "worker-lost",
    "deadline",
    "too-slow",
    "unsupported-media-type",
    "bad-state",
)
STATE_PROBLEMS = (
    *SESSION_PROBLEMS,
    "bad-arguments",
    "too-large",
    "bad-state",
    "busy",
    "worker-lost",
    "deadline",
)
CALL_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON_MEDIA_TYPE: {"schema": CallRequest.model_json_schema()},
        VALUES_MEDIA_TYPE: BINARY,
    },
}
CALL_ANSWER: dict[str, Any] = {
    "model": CallResult,
    "description": "The function returned",
    "content": {VALUES_MEDIA_TYPE: BINARY},
    "headers": {
        "Server-Timing": {
            "schema": {"type": "string"},
            "description": "transfer, prepare, run; milliseconds",
        },
        "Lawow-Peak-Memory-Bytes": {"schema": {"type": "integer"}, "description": "of the tenant's worker"},
    },
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{16,128}$"},
    "description": "The same key gives the same answer, and the effect once",
}
DEADLINE_HEADERS: list[dict[str, Any]] = [
    {
        "name": "Lawow-Deadline-Seconds",
        "in": "header",
        "required": False,
        "schema": {"type": "number", "exclusiveMinimum": 0},
        "description": "The deadline, where the body does not say it",
    }
]
OPEN_HEADERS = [IDEMPOTENCY_KEY, *DEADLINE_HEADERS]
CALL_HEADERS: list[dict[str, Any]] = [
    IDEMPOTENCY_KEY,
    {
        "name": "Lawow-Signature",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "Refuse the call unless the export has this signature; needed for strings and lists",
    },
    *DEADLINE_HEADERS,
]


@dataclass(frozen=True, slots=True)
class RouteDescription:
    """One route: `handler` names the method of `lawow.server.rest.Routes`, `problems` its possible codes.

    `scope` is what a token must have for it (`lawow.edge.policies.SCOPES`). `is_audited`: requests go to
    the audit log; with one of `AUDITED_SCOPES` they do in any case.
    """

    method: str
    path: str
    handler: str
    summary: str
    answer: type[BaseModel] | None
    status: int = 200
    problems: tuple[str, ...] = ()
    also: dict[int, dict[str, Any]] = field(default_factory=dict)
    request: dict[str, Any] | None = None
    headers: list[dict[str, Any]] = field(default_factory=list)
    scope: str = "call"
    is_audited: bool = False

    @property
    def needs_token(self) -> bool:
        """Whether it is not for everybody."""
        return self.scope != PUBLIC_SCOPE

    def responses(self) -> dict[int | str, dict[str, Any]]:
        """Return all answers but the usual one."""
        by_status: dict[int, list[str]] = {}
        for code in (*(COMMON_PROBLEMS if self.needs_token else ()), *self.problems):
            by_status.setdefault(PROBLEMS[code].status, []).append(code)
        schema = {"$ref": "#/components/schemas/ProblemDocument"}
        problems: dict[int | str, dict[str, Any]] = {
            status: {
                "description": "Lawow-Error: " + " or ".join(codes),
                "content": {MEDIA_TYPE.decode(): {"schema": schema}},
            }
            for status, codes in by_status.items()
        }
        return problems | self.also

    def extra(self) -> dict[str, Any]:
        """Return the parts of the operation that the framework cannot find out."""
        extra: dict[str, Any] = {"security": [{"token": []}] if self.needs_token else []}
        extra[SCOPE_KEY] = self.scope
        extra[AUDIT_KEY] = self.is_audited or self.scope in AUDITED_SCOPES
        if self.request is not None:
            extra["requestBody"] = self.request
        if self.headers:
            extra["parameters"] = self.headers
        return extra


def _binary_body(media_type: str) -> dict[str, Any]:
    return {"required": True, "content": {media_type: BINARY}}


ROUTES = (
    RouteDescription("GET", "/v1/health", "health", "Is the edge up?", Health, scope=PUBLIC_SCOPE),
    RouteDescription(
        "GET",
        "/v1/ready",
        "ready",
        "Does the edge take new work?",
        Readiness,
        problems=("not-ready",),
        scope=PUBLIC_SCOPE,
    ),
    RouteDescription(
        "GET",
        "/v1/metrics",
        "show_metrics",
        "Metrics of the whole edge, for Prometheus",
        None,
        also={200: {"description": "The metrics", "content": {METRICS_MEDIA_TYPE: TEXT}}},
        scope="admin",
    ),
    RouteDescription(
        "GET", "/v1/modules", "list_modules", "List the tenant's modules", ModuleList, scope="read"
    ),
    RouteDescription(
        "GET",
        "/v1/modules/{digest}",
        "show_module",
        "Show one module",
        Module,
        problems=("not-found",),
        scope="read",
    ),
    RouteDescription(
        "PUT",
        "/v1/modules/{digest}",
        "put_module",
        "Upload a module",
        Module,
        status=201,
        problems=("not-found", *UPLOAD_PROBLEMS),
        also={200: {"model": Module, "description": "The tenant had it already"}},
        request=_binary_body("application/wasm"),
        scope="upload",
    ),
    RouteDescription(
        "POST",
        "/v1/bundles",
        "post_bundle",
        "Upload an offload bundle",
        BundleReceipt,
        status=201,
        problems=UPLOAD_PROBLEMS,
        request=_binary_body("application/java-archive"),
        scope="upload",
    ),
    RouteDescription(
        "POST",
        "/v1/modules/{digest}/exports/{name:path}/calls",
        "call",
        "Call an export on a fresh instance",
        CallResult,
        problems=CALL_PROBLEMS,
        also={200: CALL_ANSWER},
        request=CALL_BODY,
        headers=CALL_HEADERS,
    ),
    RouteDescription(
        "POST",
        "/v1/modules/{digest}/sessions",
        "open_session",
        "Make an instance that stays, fresh or in the state that is the body",
        Session,
        status=201,
        problems=("bad-request", "conflict", *OPEN_PROBLEMS),
        request={"required": False, "content": {STATE_MEDIA_TYPE: BINARY}},
        headers=OPEN_HEADERS,
    ),
    RouteDescription(
        "GET",
        "/v1/sessions/{session}/state",
        "show_state",
        "Take the state of a session, which goes on",
        None,
        problems=STATE_PROBLEMS,
        also={200: {"description": "The state", "content": {STATE_MEDIA_TYPE: BINARY}}},
        headers=DEADLINE_HEADERS,
    ),
    RouteDescription(
        "POST",
        "/v1/sessions/{session}/exports/{name:path}/calls",
        "call_in_session",
        "Call an export in a session",
        CallResult,
        problems=(*CALL_PROBLEMS, "session-lost"),
        also={200: CALL_ANSWER},
        request=CALL_BODY,
        headers=CALL_HEADERS,
    ),
    RouteDescription(
        "DELETE",
        "/v1/sessions/{session}",
        "close_session",
        "End a session",
        None,
        status=204,
        problems=SESSION_PROBLEMS,
    ),
)
"""All routes of version 1."""
