"""Loaded by schemathesis (``SCHEMATHESIS_HOOKS``): our media types are bytes as they are."""

from __future__ import annotations

import schemathesis

from lawow.server.control_descriptions import PARTIAL_MEDIA_TYPE
from lawow.server.descriptions import STATE_MEDIA_TYPE, VALUES_MEDIA_TYPE
from lawow.server.rest_models import MODEL_MEDIA_TYPE

__all__ = ["OURS"]

OURS = (
    MODEL_MEDIA_TYPE,
    PARTIAL_MEDIA_TYPE,
    STATE_MEDIA_TYPE,
    VALUES_MEDIA_TYPE,
    "application/wasm",
    "application/java-archive",
)

for media_type in OURS:
    schemathesis.serializer.alias(media_type, "application/octet-stream")
