"""The running edge of the server's tests, here too."""

from __future__ import annotations

from tests.server.conftest import edge, new_tenant, tenant

__all__ = ["edge", "new_tenant", "tenant"]
