"""Views: a picture that the instance of a lease makes of itself, for whoever looks after its tenant.

The owner of a lease names an export that returns bytes, a PNG. Whoever asks is shown what it returns, a
second old at most however many ask. A name is in memory alone, as the instance is, and goes with its lease.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from lawow.channel.bodies import read_returned
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.leases import Lease
from lawow.edge.refusals import NotFound
from lawow.edge.remote_offload_handler import RemoteOffloadHandler
from lawow.errors import FormatError, GuestTrap, LimitExceeded
from lawow.formats.elements import Packed
from lawow.formats.png import require_png
from lawow.formats.signature import parse_typed_signature

__all__ = ["Views"]

PICTURE = parse_typed_signature(">[b")
FRESH_SECONDS = 1.0


@dataclass(slots=True)
class _View:
    """An export of a lease's instance, and what it returned in this second, if anybody looked."""

    export: str
    picture: bytes = b""
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget(self) -> None:
        """Let the next one who looks get a new picture, and hold none for nobody."""
        self.picture = b""


class Views:
    """The views of all leases. For one event loop."""

    def __init__(self, handler: ExecutionHandler, remote: RemoteOffloadHandler) -> None:
        self._handler = handler
        self._remote = remote
        self._views: dict[str, _View] = {}

    def show(self, lease: Lease, export: str) -> None:
        """Let an export without parameters, which returns a list of bytes, be the view of a lease's instance.

        Raises `NotFound` also for another's instance, `SignatureMismatch`.
        """
        if lease.shared_lease:
            raise NotFound("the view of a shared instance is its owner's")
        self._handler.export(lease.tenant, lease.digest, export, PICTURE.text)
        living = self._remote.with_session()
        self._views = {name: view for name, view in self._views.items() if name in living}
        self._views[lease.id] = _View(export)

    def hide(self, lease: Lease) -> None:
        """Have no view of a lease any more."""
        self._views.pop(lease.id, None)

    def has(self, lease: str) -> bool:
        """Tell whether an instance of that lease lives and has a view."""
        return lease in self._views and lease in self._remote.with_session()

    async def picture(self, lease: Lease) -> bytes:
        """Return the view as a PNG; looking does not renew the lease.

        Raises `NotFound` if there is none, `GuestTrap` with the code ``bad-result`` for what is no PNG, and
        what a call in the instance raises.
        """
        view = self._views.get(lease.id)
        if view is None:
            raise NotFound("the lease has no view; its owner names one by PUT")
        async with view.taking:
            if not view.picture:
                view.picture = await self._take(lease, view.export)
                asyncio.get_running_loop().call_later(FRESH_SECONDS, view.forget)
            return view.picture

    async def _take(self, lease: Lease, export: str) -> bytes:
        limits = self._handler.limits
        async with self._remote.using(lease, is_use=False) as place:
            found = self._handler.export(place.tenant, place.digest, export, PICTURE.text)
            finished = await self._handler.call(
                place.tenant, place.digest, found, b"", limits.deadline_seconds, place.session
            )
        (picture,) = read_returned(PICTURE, (), finished.results).results
        assert isinstance(picture, Packed)  # as the signature says
        try:
            require_png(picture.data, limits.view_pixels)
        except (FormatError, LimitExceeded) as error:
            raise GuestTrap("bad-result", f"the view {export[:100]} {error}") from None
        return bytes(picture.data)
