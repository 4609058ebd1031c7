"""What azure-core writes into its own spans of requests to Foundry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from azure.core.settings import settings

from core.agents_file.spec import Probe
from handlers.gateways.azure_http import SERVICE_REQUEST_ID
from tests.fuzz.foundry import DEFINITION, FOUNDRY, HTTP, RESPONSE, VERSION
from tests.fuzz.wire import Answer

ID = "c2a5a969-a025-72ea-d2f4-bc3a59495aca"
SECRET = "WHOLE-Secret-Value-51b2"


class RecordedSpan:
    """A span as azure-core's plugins write one."""

    attributes: ClassVar[dict[str, str]] = {}

    def __init__(self, span: Any = None, name: str = "", **_: Any) -> None:
        self.span_instance = self

    def __enter__(self) -> RecordedSpan:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def add_attribute(self, key: str, value: str) -> None:
        self.attributes[key] = value

    def set_http_attributes(self, **_: Any) -> None:
        """Add nothing more."""

    def to_header(self) -> dict[str, str]:
        return {}

    def finish(self) -> None:
        """End the span."""

    @classmethod
    def get_current_span(cls) -> None:
        return None

    @classmethod
    def change_context(cls, span: Any) -> Any:
        return cls()


@pytest.fixture
def attributes() -> Iterator[dict[str, str]]:
    kind: Any = RecordedSpan
    settings.tracing_implementation.set_value(kind)
    settings.tracing_enabled.set_value(True)
    RecordedSpan.attributes = {}
    yield RecordedSpan.attributes
    settings.tracing_implementation.unset_value()
    settings.tracing_enabled.unset_value()


def answered(body: dict[str, Any], request_id: str) -> Answer:
    return Answer(
        200, ((SERVICE_REQUEST_ID, request_id), ("Content-Type", "application/json")), json.dumps(body).encode()
    )


async def test_an_agent_chooses_no_attribute_of_a_span(attributes: dict[str, str]) -> None:
    for request_id in (SECRET, ID):
        HTTP.answers = [answered(RESPONSE, request_id)]
        await FOUNDRY.ask("a", Probe(ask="ping", expect="pong"), None, 5.0)
    assert attributes["az.client_request_id"]
    assert "az.service_request_id" not in attributes


async def test_the_service_s_id_of_a_request_stays_where_it_is_one(attributes: dict[str, str]) -> None:
    HTTP.answers = [answered(VERSION, SECRET)]
    await FOUNDRY.create_version("a", DEFINITION, {})
    assert "az.service_request_id" not in attributes
    HTTP.answers = [answered(VERSION, ID)]
    await FOUNDRY.create_version("a", DEFINITION, {})
    assert attributes["az.service_request_id"] == ID
