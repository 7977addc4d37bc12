"""The data plane inside a tenant's worker: its sockets, its sessions, and the calls that come over them.

`lawow.edge.tenant_plane` is the edge's side of it, which admits leases and never sees a call.
"""

__all__: list[str] = []
