"""Reads the answer of an agent, or of the service in its place: who gave it, its code, its status, its text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from azure.core.exceptions import HttpResponseError

from core.agents_file.spec import Probe
from core.model import Answer, Origin
from core.service_codes import is_service_code
from handlers.gateways.azure_http import answer_headers, request_id
from handlers.gateways.foundry.errors import error_message

MAX_ANSWER_BYTES = 1_000_000
CODE = re.compile(r"[A-Za-z][\w.:-]*")
"""An agent could write any text in the place of a code."""
NOT_A_CODE = frozenset({"platform", "upstream"})
MAX_NESTED_ERRORS = 5
ADC_DETAILS = "x-adc-response-details"
"""The service's own code of an answer, or the word ``platform`` or ``upstream`` (azd, nextstep/error_codes.go)."""
ITEMS = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "computer_call",
        "local_shell_call",
        "reasoning",
    }
)
"""Types of output that are not a message. Others are not named: an agent could write anything there."""


def answer_head(status: int, headers: Mapping[str, str]) -> Answer:
    """What the headers say of an answer."""
    version = headers.get("x-agent-version-resolved", "").strip()
    return Answer(
        status,
        code=_first_code(re.findall(r"\w+", headers.get(ADC_DETAILS, ""))),
        version=version or None,
        origin=_origin(headers),
        session=headers.get("x-agent-session-id", "").strip(),
        request_id=request_id(headers),
    )


def _origin(headers: Mapping[str, str]) -> Origin:
    """Who gave an answer, by its headers."""
    if source := headers.get("x-platform-error-source"):
        return "service" if source.strip().lower() == "platform" else "agent"
    if details := headers.get(ADC_DETAILS):
        return "agent" if "upstream" in details.lower() else "service"
    return "agent" if headers.get("x-agent-version-resolved") or headers.get("x-platform-server") else ""


def read_answer(head: Answer, body: bytes | None, probe: Probe) -> Answer:
    """The answer with what its body says; ``body`` is None where it was too long."""
    try:
        text = body.decode() if body is not None else None
    except UnicodeDecodeError:
        text = None
    if head.status >= 300:
        return _read_error(head, text or "")
    if body is None:
        return replace(head, problem=f"with more than {MAX_ANSWER_BYTES:,} bytes")
    if text is None:
        return replace(head, problem="which is not UTF-8 text")
    return replace(head, code="", text=text) if probe.ask is None else _read_response(head, text)


def refused_session(error: HttpResponseError, status: int) -> Answer:
    """The service's refusal of a session, with its words: no agent has written them."""
    head = answer_head(status, answer_headers(error))
    answer = _read_error(head, _body_text(error))
    return replace(answer, text="", message=error_message(error), origin=answer.origin or "service")


def _body_text(error: HttpResponseError) -> str:
    try:
        return str(error.response.text()) if error.response is not None else ""
    except (ValueError, LookupError, AttributeError):
        return ""


def _read_error(head: Answer, text: str) -> Answer:
    """The code of the body or of the headers; a code that is surely the service's own goes before all."""
    body = _json(text)
    error = body.get("error") if isinstance(body, Mapping) else None
    code = _first_code([*_codes_in(error), head.code])
    return replace(_with_session(head, body), text=text, code=code)


def _first_code(words: Iterable[str]) -> str:
    """The first code, unless a later one is surely the service's own."""
    codes = [word for word in words if CODE.fullmatch(word) and word.lower() not in NOT_A_CODE]
    return next(filter(is_service_code, codes), next(iter(codes), ""))


def _codes_in(error: object) -> Iterator[str]:
    """The codes of an error, from the outside in."""
    level = [error]
    for _ in range(MAX_NESTED_ERRORS):
        errors = [item for item in level if isinstance(item, Mapping)]
        yield from (str(item["code"]) for item in errors if item.get("code"))
        inner = [item.get("innererror") or item.get("innerError") for item in errors]
        details = [item.get("details") for item in errors]
        level = [*inner, *(detail for found in details if isinstance(found, list) for detail in found)]


def _read_response(head: Answer, text: str) -> Answer:
    body = _json(text)
    if not isinstance(body, Mapping):
        return replace(head, problem="which is not a response object")
    error, details = body.get("error"), body.get("incomplete_details")
    failed = isinstance(error, Mapping) and bool(error)
    reason = str(details.get("reason") or "") if isinstance(details, Mapping) else ""
    version = None if head.version else _version(body)
    answer = replace(
        _with_session(head, body),
        code=_first_code(_codes_in(error)),
        text=_output_text(body),
        version=head.version or version,
        version_from_body=version is not None,
        response_status=_status(body, failed=failed),
        incomplete_reason=_first_code([reason]),
    )
    return answer if answer.text else replace(answer, other_output=_other_output(body))


def _status(response: Mapping[str, Any], *, failed: bool) -> str:
    """The status that a response gives itself; one with an error and no status has failed."""
    status = response.get("status")
    if isinstance(status, str) and status:
        return status.strip().lower()
    return "failed" if failed else ""


def _with_session(head: Answer, body: object) -> Answer:
    session = body.get("agent_session_id") if isinstance(body, Mapping) else None
    return replace(head, session=session) if isinstance(session, str) and session and not head.session else head


def _items(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    output = response.get("output")
    return [item for item in output if isinstance(item, Mapping)] if isinstance(output, list) else []


def _parts(response: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parts of the agent's messages; what it reasoned, and what it repeats of the question, are not its answer."""
    for item in _items(response):
        content = item.get("content")
        is_message = item.get("type", "message") == "message" and item.get("role", "assistant") == "assistant"
        if is_message and isinstance(content, list):
            yield from (part for part in content if isinstance(part, Mapping))


def _output_text(response: Mapping[str, Any]) -> str:
    """The text parts of a response's messages, one a line; a lone surrogate, which RE2 does not take, becomes ``?``."""
    texts = [part["text"] for part in _parts(response) if isinstance(part.get("text"), str)]
    return "\n".join(texts).encode("utf-8", "replace").decode()


def _other_output(response: Mapping[str, Any]) -> str:
    """What a response without text has: a refusal, or items of other types and how many."""
    if any(part.get("type") == "refusal" for part in _parts(response)):
        return "a refusal"
    types = [str(item["type"]) for item in _items(response) if item.get("type", "message") != "message"]
    counts = Counter(kind if kind in ITEMS else "other item" for kind in types)
    return " and ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _version(response: Mapping[str, Any]) -> str | None:
    reference = response.get("agent_reference")
    version = reference.get("version") if isinstance(reference, Mapping) else None
    return str(version) if version else None


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
