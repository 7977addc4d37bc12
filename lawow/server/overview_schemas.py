"""The overview's document and routes, for the OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from lawow.server.auth import PUBLIC_SCOPE
from lawow.server.descriptions import TEXT, RouteDescription

__all__ = [
    "EVENTS_MEDIA_TYPE",
    "OVERVIEW_ROUTES",
    "OverviewDocument",
    "OverviewLease",
    "OverviewNumbers",
    "OverviewSeries",
    "OverviewTenant",
]

EVENTS_MEDIA_TYPE = "text/event-stream"


class OverviewNumbers(BaseModel):
    """What the edge and each tenant have in common. Times are those of whole calls on the edge."""

    calls_per_second: float = Field(description="over the last ten seconds")
    p50_seconds: float | None = Field(description="over window_seconds, within 3.125 %; null without calls")
    p99_seconds: float | None
    outcomes: dict[str, int] = Field(description="calls since the edge counts them: ok, or a problem's code")
    workers: int
    instances: int = Field(description="open sessions and running calls")
    waiting: int = Field(description="calls in queues")
    memory_bytes: int = Field(description="resident memory of the workers")
    connections: int
    lease_states: dict[str, int] = Field(description="leases in force, by state")


class OverviewTenant(OverviewNumbers):
    """One tenant."""

    tenant: str


class OverviewSeries(BaseModel):
    """One value a step, oldest first; the last is of the last complete step."""

    step_seconds: int
    calls: list[int]
    p99_seconds: list[float | None]
    memory_bytes: list[int]


class OverviewLease(BaseModel):
    """A lease in force."""

    tenant: str
    lease: str
    state: str
    module: str
    host: str
    is_shared: bool
    created_unix: float
    expires_unix: float
    reason: str | None
    has_view: bool = Field(description="GET /v1/leases/{lease}/view has a picture; told to its tenant alone")


class OverviewDocument(OverviewNumbers):
    """The figures of the edge, or of one tenant: then `tenant` is its name."""

    version: str
    tenant: str | None
    state: Literal["ready", "not-ready", "draining", "stopping"]
    reason: str | None = Field(description="why it is not ready")
    time_unix: float
    started_unix: float
    window_seconds: int
    series: OverviewSeries
    tenants: list[OverviewTenant] = Field(description="those that called last, by name")
    tenants_left_off: int
    leases: list[OverviewLease] = Field(description="newest first")
    leases_left_off: int
    sections: dict[str, dict[str, int | float | str | None]] = Field(
        description="figures of further parts of the edge, under their names"
    )


EVENT_SCHEMA = {
    "type": "object",
    "properties": {"event": {"enum": ["overview", "end"]}, "data": TEXT["schema"]},
}
EVENTS_ANSWER: dict[str, Any] = {
    "description": "Each second an event `overview` with the document; `end` before the stream ends. "
    "The schema is that of an event",
    "content": {EVENTS_MEDIA_TYPE: {"schema": EVENT_SCHEMA}},
}
OVERVIEW_ROUTES = (
    RouteDescription(
        "GET",
        "/",
        "show_page",
        "The dashboard: a page that asks for a token and shows the overview",
        None,
        also={200: {"description": "The page", "content": {"text/html": TEXT}}},
        scope=PUBLIC_SCOPE,
    ),
    RouteDescription(
        "GET",
        "/v1/overview",
        "show_overview",
        "Figures of the tenant; with the scope admin as well, of the edge and all tenants",
        OverviewDocument,
        problems=("storage-failed",),
        scope="read",
    ),
    RouteDescription(
        "GET",
        "/v1/overview/events",
        "stream_overview",
        "The same each second, as server-sent events",
        None,
        problems=("busy", "storage-failed"),
        also={200: EVENTS_ANSWER},
        scope="read",
    ),
)
"""All routes of the overview."""
