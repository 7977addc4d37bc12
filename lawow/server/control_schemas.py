"""The JSON documents of the control plane: those that requests bring are checked by these very classes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "EndpointDocument",
    "FigureDocument",
    "HostDocument",
    "HostList",
    "LeaseDocument",
    "LeaseList",
    "LeaseSelection",
    "OfferDocument",
    "OffloadRequestBody",
    "OffloadRequestDocument",
    "RequirementsBody",
    "SharedModuleBody",
    "SharedModuleDocument",
    "SharedModuleList",
    "UnmetDocument",
    "ViewBody",
]

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,62}$")]
Word = Annotated[str, Field(max_length=40)]
Positive = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]


class _Given(BaseModel):
    """What a request brings: no unknown field, no value of another kind."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RequirementsBody(_Given):
    """What the module needs. What is left out asks for nothing; what is not known of a host is not met."""

    cpu_cores: int = Field(default=0, ge=0, lt=1 << 31)
    memory_bytes: int = Field(default=0, ge=0, lt=1 << 50)
    engine: Word = ""
    engine_version: Word = Field(default="", description="leading parts: 50 stands for 50.0.1")
    accelerator: Word = ""
    tee: Word = Field(default="", description="a technology's name, or any")
    latency_seconds: Positive | None = None
    price_ceiling: Positive | None = Field(default=None, description="for an hour, in currency")
    currency: Word = ""


class OffloadRequestBody(_Given):
    """A pending offload: of a module, or of a shared one by NAME or OWNER/NAME."""

    module: str | None = Field(default=None, pattern="^sha256:[0-9a-f]{64}$")
    shared: str | None = Field(
        default=None, pattern="^([a-z0-9][a-z0-9._-]{0,62}/)?[a-z0-9][a-z0-9._-]{0,62}$"
    )
    choice: Literal["application", "provider", "mixed"] = "application"
    requirements: RequirementsBody = RequirementsBody()
    round_trip_seconds: Positive | None = Field(
        default=None, description="measured by the device to this edge"
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.module is None) == (self.shared is None):
            raise ValueError("give exactly one of module and shared")
        return self


class LeaseSelection(_Given):
    """The offer that is accepted."""

    offer: Id


class SharedModuleBody(_Given):
    """The owner's lease behind the name, and the other tenants who may use it."""

    lease: Id
    tenants: list[Name] = Field(default=[], max_length=1000)


class ViewBody(_Given):
    """The export of the lease's module that returns the view: no parameters, a list of bytes, a PNG."""

    export: str = Field(min_length=1, max_length=200)


class FigureDocument(BaseModel):
    """A number and how it was come by."""

    value: float
    provenance: Literal["measured", "modelled", "stated"]
    source: str


class HostDocument(BaseModel):
    """A host; null stands for what is not known. `url` is null for the edge that answers."""

    name: str
    url: str | None
    certificate_sha256: str | None
    cpu_cores: int
    memory_bytes: int
    engine: str
    engine_version: str
    accelerators: list[str]
    tee: str | None
    currency: str | None
    provenance: Literal["looked-up", "stated"]
    round_trip_seconds: FigureDocument | None
    price_per_hour: FigureDocument | None
    energy_mwh_per_call: FigureDocument | None


class HostList(BaseModel):
    """All hosts of this edge."""

    hosts: list[HostDocument]


class EndpointDocument(BaseModel):
    """The lease's part of the data plane; its token opens it. `websocket` is a path at the edge's own URL."""

    host: str
    port: int
    protocol: str
    certificate_sha256: str
    websocket: str | None


class LeaseDocument(BaseModel):
    """A lease. `token` stands only in the answer that grants it."""

    lease: str
    state: str
    module: str
    host: str
    is_shared: bool
    created_unix: float
    expires_unix: float
    reason: str | None
    module_is_present: bool
    received_bytes: int
    endpoint: EndpointDocument | None
    token: str | None = None


class LeaseList(BaseModel):
    """The tenant's leases, oldest first; ended ones stay for an hour."""

    leases: list[LeaseDocument]


class OfferDocument(BaseModel):
    """A host that meets the requirements, until `expires_unix`."""

    offer: str
    expires_unix: float
    host: HostDocument


class UnmetDocument(BaseModel):
    """A host that does not, and why."""

    host: str
    reasons: list[str]


class OffloadRequestDocument(BaseModel):
    """A request with its offers; `lease` where the provider selected."""

    request: str
    state: str
    choice: str
    module: str
    expires_unix: float
    offers: list[OfferDocument]
    unmet: list[UnmetDocument]
    lease: LeaseDocument | None


class SharedModuleDocument(BaseModel):
    """A shared module of the tenant."""

    name: str
    lease: str
    tenants: list[str]


class SharedModuleList(BaseModel):
    """All of them."""

    shared_modules: list[SharedModuleDocument]
