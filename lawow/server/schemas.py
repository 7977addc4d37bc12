"""The JSON documents of the API, for the OpenAPI description. Routes build the same documents by hand.

Digests are written ``sha256:`` and 64 hex digits everywhere in the API.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = [
    "BundleReceipt",
    "CallRequest",
    "CallResult",
    "Export",
    "Health",
    "Method",
    "Module",
    "ModuleList",
    "ModuleSummary",
    "ProblemDocument",
    "Readiness",
    "Seconds",
    "Session",
]

Number = int | float | str
Value = Number | list[Number | bool]


class Health(BaseModel):
    """The edge is up."""

    status: str
    version: str


class Readiness(BaseModel):
    """The edge takes new work."""

    status: str


class Export(BaseModel):
    """An exported function."""

    name: str
    signature: str = Field(description="types in letters, parameters > results", examples=["i>i"])
    wit: str = Field(examples=["fib: func(p0: s32) -> s32"])


class Module(BaseModel):
    """A module of the tenant."""

    digest: str
    bytes: int
    exports: list[Export]


class ModuleSummary(BaseModel):
    """A module in a list."""

    digest: str
    bytes: int


class ModuleList(BaseModel):
    """All modules of the tenant."""

    modules: list[ModuleSummary]


class Method(BaseModel):
    """A Java method of a bundle and the export that it stands for."""

    class_name: str = Field(alias="class")
    method: str
    descriptor: str
    digest: str
    export: str
    signature: str


class BundleReceipt(BaseModel):
    """What a bundle held; all of it is kept."""

    modules: list[Module]
    methods: list[Method]


class CallRequest(BaseModel):
    """Arguments in the signature's order. Integers may be decimal strings, floats "NaN" or "Infinity".

    `{"same_as": 0}` is the same list as the parameter 0.
    """

    arguments: list[Value | dict[str, int]]
    deadline_seconds: float | None = Field(default=None, gt=0)


class Seconds(BaseModel):
    """Where the time went: receiving the request, making an instance ready, running the function."""

    transfer: float
    prepare: float
    run: float


class CallResult(BaseModel):
    """What the function returned. Integers beyond 2^53 are decimal strings.

    `changed` is there for signatures with strings or lists: by the parameter's index, the in-out lists as
    they are after the call.
    """

    results: list[Value]
    changed: dict[str, list[Number | bool]] | None = None
    seconds: Seconds


class Session(BaseModel):
    """A live instance."""

    session: str = Field(pattern="^[0-9a-f]{32}$")


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457). The header Lawow-Error holds the code that ends `type`."""

    type: str = Field(examples=["urn:lawow:problem:trap"])
    title: str
    status: int
    detail: str
    trap: str | None = Field(default=None, description="with code trap: which one")
    frames: list[str] | None = Field(default=None, description="with code trap: functions, innermost first")
    quota: str | None = Field(default=None, description="with code quota-exceeded: which one")
    limit: int | None = Field(default=None, description="with code quota-exceeded: its value")
    used: int | None = Field(default=None, description="with code quota-exceeded: what is used")
