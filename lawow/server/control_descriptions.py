"""The control plane's routes as one table, like `lawow.server.descriptions.ROUTES`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from lawow.server.control_schemas import (
    HostList,
    LeaseDocument,
    LeaseList,
    LeaseSelection,
    OffloadRequestBody,
    OffloadRequestDocument,
    SharedModuleBody,
    SharedModuleDocument,
    SharedModuleList,
    ViewBody,
)
from lawow.server.descriptions import (
    BINARY,
    CALL_ANSWER,
    CALL_BODY,
    CALL_HEADERS,
    CALL_PROBLEMS,
    IDEMPOTENCY_KEY,
    JSON_MEDIA_TYPE,
    OPEN_PROBLEMS,
    STATE_MEDIA_TYPE,
    UPLOAD_PROBLEMS,
    RouteDescription,
)
from lawow.server.schemas import CallResult

__all__ = ["BODIES", "CONTROL_ROUTES", "PARTIAL_MEDIA_TYPE", "PNG_MEDIA_TYPE"]

PARTIAL_MEDIA_TYPE = "application/partial-upload"
PNG_MEDIA_TYPE = "image/png"
BODIES: tuple[type[BaseModel], ...] = (OffloadRequestBody, LeaseSelection, SharedModuleBody, ViewBody)
"""What requests bring; described among the document's components."""
DOCUMENT_PROBLEMS = ("bad-request", "too-slow", "too-large", "unsupported-media-type", "storage-failed")
LEASE_PROBLEMS = ("not-found", "conflict", "lease-ended", "storage-failed")


def _header(name: str, description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


IDEMPOTENCY = [IDEMPOTENCY_KEY]
UPLOAD_HEADERS = [
    _header("Upload-Offset", "where the bytes belong", {"type": "integer", "minimum": 0}, required=True),
    _header("Upload-Complete", "?1: the module ends with them", {"type": "string", "enum": ["?0", "?1"]}),
]
UPLOAD_ANSWER: dict[str, Any] = {
    "description": "Upload-Offset bytes are on the disk",
    "headers": {
        "Upload-Offset": {"schema": {"type": "integer"}},
        "Upload-Complete": {"schema": {"type": "string"}, "description": "?1: the host has the module"},
    },
}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": True, "content": {JSON_MEDIA_TYPE: {"schema": schema}}}


def _bytes(media_type: str) -> dict[str, Any]:
    return {"required": True, "content": {media_type: BINARY}}


LEASE, SHARED = "/v1/leases/{lease}", "/v1/shared-modules/{name}"
APPEND = RouteDescription(
    "PATCH",
    f"{LEASE}/module",
    "append_module",
    "Transfer the module, or the next part of it",
    None,
    status=204,
    problems=("bad-request", *LEASE_PROBLEMS, *UPLOAD_PROBLEMS[:-1]),
    also={204: UPLOAD_ANSWER},
    request=_bytes(PARTIAL_MEDIA_TYPE),
    headers=UPLOAD_HEADERS,
    scope="upload",
)

CONTROL_ROUTES = (
    RouteDescription("GET", "/v1/hosts", "list_hosts", "List the hosts of this edge", HostList),
    RouteDescription(
        "POST",
        "/v1/offload-requests",
        "request_offload",
        "Ask for offers",
        OffloadRequestDocument,
        status=201,
        problems=("not-found", "conflict", "busy", *DOCUMENT_PROBLEMS),
        request=_json(OffloadRequestBody),
        headers=IDEMPOTENCY,
    ),
    RouteDescription(
        "GET",
        "/v1/offload-requests/{request_id}",
        "show_request",
        "Show a request",
        OffloadRequestDocument,
        problems=("not-found",),
    ),
    RouteDescription(
        "POST",
        "/v1/leases",
        "select_offer",
        "Select an offer: the lease begins",
        LeaseDocument,
        status=201,
        problems=("not-found", "conflict", "lease-ended", "busy", *DOCUMENT_PROBLEMS),
        request=_json(LeaseSelection),
        headers=IDEMPOTENCY,
        is_audited=True,
    ),
    RouteDescription(
        "DELETE",
        "/v1/modules/{digest}",
        "remove_module",
        "Take away a module that no lease and no session needs",
        None,
        status=204,
        problems=("not-found", "conflict", "storage-failed"),
        scope="upload",
    ),
    RouteDescription("GET", "/v1/leases", "list_leases", "List the tenant's leases", LeaseList),
    RouteDescription("GET", LEASE, "show_lease", "Show a lease", LeaseDocument, problems=("not-found",)),
    RouteDescription("PUT", LEASE, "renew_lease", "Renew a lease", LeaseDocument, problems=LEASE_PROBLEMS),
    RouteDescription(
        "DELETE", LEASE, "end_lease", "End a lease", LeaseDocument, problems=LEASE_PROBLEMS, is_audited=True
    ),
    RouteDescription(
        "HEAD",
        f"{LEASE}/module",
        "show_upload",
        "Tell where the upload continues",
        None,
        status=204,
        problems=("not-found",),
        also={204: UPLOAD_ANSWER},
    ),
    APPEND,
    replace(
        APPEND, method="POST", handler="post_module", summary="As PATCH, for clients whose library lacks that"
    ),
    RouteDescription(
        "PUT",
        f"{LEASE}/instance",
        "initialise",
        "Initialise the module",
        LeaseDocument,
        problems=(*dict.fromkeys((*LEASE_PROBLEMS, *OPEN_PROBLEMS)),),
        headers=CALL_HEADERS[1:],
    ),
    RouteDescription(
        "DELETE",
        f"{LEASE}/instance",
        "rest_lease",
        "Let the lease rest",
        LeaseDocument,
        problems=LEASE_PROBLEMS,
    ),
    RouteDescription(
        "GET",
        f"{LEASE}/state",
        "read_state",
        "Read the instance's state",
        None,
        problems=(*LEASE_PROBLEMS, "bad-state", "session-lost", "busy", "worker-lost", "deadline"),
        also={200: {"description": "Opaque bytes", "content": {STATE_MEDIA_TYPE: BINARY}}},
    ),
    RouteDescription(
        "PUT",
        f"{LEASE}/state",
        "write_state",
        "Replace the instance's state",
        None,
        status=204,
        problems=(
            *LEASE_PROBLEMS,
            *UPLOAD_PROBLEMS[:3],
            "bad-state",
            "session-lost",
            "busy",
            "worker-lost",
            "deadline",
        ),
        request=_bytes(STATE_MEDIA_TYPE),
        is_audited=True,
    ),
    RouteDescription(
        "POST",
        f"{LEASE}/exports/{{name:path}}/calls",
        "call_in_lease",
        "Call an export in the lease's instance",
        CallResult,
        problems=(*CALL_PROBLEMS, "lease-ended", "session-lost", "storage-failed"),
        also={200: CALL_ANSWER},
        request=CALL_BODY,
        headers=CALL_HEADERS,
    ),
    RouteDescription(
        "PUT",
        f"{LEASE}/view",
        "show_view",
        "Let an export be the picture that the dashboard shows of the instance",
        None,
        status=204,
        problems=("not-found", "signature-mismatch", *DOCUMENT_PROBLEMS[:-1]),
        request=_json(ViewBody),
    ),
    RouteDescription(
        "GET",
        f"{LEASE}/view",
        "read_view",
        "Look at the instance's view, a second old at most",
        None,
        problems=(
            "not-found",
            "conflict",
            "lease-ended",
            *CALL_PROBLEMS[7:],
            "session-lost",
            "storage-failed",
        ),
        also={200: {"description": "A picture", "content": {PNG_MEDIA_TYPE: BINARY}}},
        scope="read",
    ),
    RouteDescription(
        "DELETE",
        f"{LEASE}/view",
        "hide_view",
        "Have no view any more",
        None,
        status=204,
        problems=("not-found",),
    ),
    RouteDescription(
        "GET", "/v1/shared-modules", "list_shared", "List the tenant's shared modules", SharedModuleList
    ),
    RouteDescription(
        "PUT",
        SHARED,
        "share",
        "Share a lease's instance under a name",
        SharedModuleDocument,
        problems=("not-found", "conflict", *DOCUMENT_PROBLEMS),
        request=_json(SharedModuleBody),
        is_audited=True,
    ),
    RouteDescription(
        "DELETE",
        SHARED,
        "withdraw",
        "Share it no more",
        None,
        status=204,
        problems=("not-found", "storage-failed"),
        is_audited=True,
    ),
)
"""All routes of the control plane."""
