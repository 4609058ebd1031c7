"""Takes Foundry's answers as plain JSON.

The SDK makes a model of each answer, and of each item of a list, which takes longer than all the rest of a request. It
makes it of the parsed body that the hook of the response sees first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handlers.gateways.azure_http import NO_TRACE

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse

    Response = PipelineResponse[Any, Any]

PAGE_SIZE = 100
BODY = "slipway.body"
"""The key of the body in the context of a response."""


def _parsed_body(response: Response) -> dict[str, Any] | None:
    """The parsed body that the SDK uses too; None for an error, and for JSON that is not an object."""
    answer = response.http_response
    body = answer.json() if answer.status_code in (200, 201) else None
    return body if isinstance(body, dict) and body else None


def _take_body(response: Response) -> None:
    body = _parsed_body(response)
    if body is not None:
        response.context[BODY] = dict(body)
        body.clear()
        body["object"] = ""  # the SDK parses once more what is empty


def plain_body(response: Response, model: Mapping[str, Any], _: Any) -> Mapping[str, Any]:
    """The body that the hook took; the model, where it took none."""
    body: Mapping[str, Any] = response.context.get(BODY, model)
    return body


PLAIN_BODY: dict[str, Any] = {"raw_response_hook": _take_body, "cls": plain_body}
"""Options of a call that returns one object."""


def plain_items() -> dict[str, Any]:
    """Options of one list, whose pages are read one after the other."""
    page: list[Any] = []

    def take(response: Response) -> None:
        page.clear()
        body = _parsed_body(response)
        if body is None:
            return
        if body.get("has_more") is False:
            # Foundry's last page has a last_id too: azure-ai-projects 2.10.0 would ask for one more page
            body["last_id"] = None
        if isinstance(body.get("data"), list):
            page.extend(body["data"])
            body["data"] = []

    def give(models: list[Any]) -> list[Any]:
        return models or [*page]

    return {"limit": PAGE_SIZE, "raw_response_hook": take, "cls": give, **NO_TRACE}
