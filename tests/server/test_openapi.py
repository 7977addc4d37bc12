"""The OpenAPI document: valid 3.1, and complete."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from lawow.server.guard import PUBLIC
from lawow.server.problems import PROBLEMS
from tests.server.running import RunningEdge


def test_the_document_is_valid_openapi_3_1(edge: RunningEdge) -> None:
    document = edge.ask("GET", "/openapi.json").json
    assert str(document["openapi"]).startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_names_its_problems_and_needs_a_token_but_health(edge: RunningEdge) -> None:
    document = edge.ask("GET", "/openapi.json").json
    paths = document["paths"]
    assert isinstance(paths, dict)
    for path, operations in paths.items():
        for operation in operations.values():
            is_open = path in PUBLIC
            assert operation["security"] == ([] if is_open else [{"token": []}])
            assert ("401" in operation["responses"]) is not is_open
            assert "HTTPValidationError" not in str(operation)


def test_interactive_pages_that_load_scripts_from_elsewhere_are_not_served(
    edge: RunningEdge, tenant: str
) -> None:
    assert edge.ask("GET", "/docs", tenant).status == 404
    assert edge.ask("GET", "/redoc", tenant).status == 404


def test_no_two_codes_differ_in_case_alone_and_all_statuses_are_errors() -> None:
    assert len({code.lower() for code in PROBLEMS}) == len(PROBLEMS)
    assert all(400 <= kind.status < 600 for kind in PROBLEMS.values())
