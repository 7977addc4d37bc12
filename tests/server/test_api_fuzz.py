"""Schemathesis on the running edge: what the OpenAPI document allows and forbids ends in no 5xx."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lawow.server.control_descriptions import CONTROL_ROUTES
from tests.conftest import ROOT
from tests.server.running import RunningEdge

EXAMPLES = os.environ.get("LAWOW_API_EXAMPLES", "3")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_generated_requests_are_answered_as_the_document_says(
    edge: RunningEdge, tenant: str, tmp_path: Path
) -> None:
    """LAWOW_API_EXAMPLES requests for each operation and phase; 100 in `make test-load`."""
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{edge.url}/openapi.json",
        "--header",
        f"Authorization: Bearer {edge.token(tenant)}",
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        EXAMPLES,
        "--seed",
        "7",
        "--no-color",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.server.api_fuzz_hooks",
    }
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    asked = {
        line.split("route=")[1].split()[0] for line in edge.log.read_text().splitlines() if "route=" in line
    }
    assert {route.path for route in CONTROL_ROUTES} <= asked
