"""Configured answers in the shapes of Microsoft's server for agents (azure-ai-agentserver-responses 2.3.0).

``tests/contract/test_agent_answers.py`` compares them with those of an agent that runs on the server.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import Any

from local.foundry.state import Json

PLATFORM_SERVER = "azure-ai-agentserver-core/2.2.0 (python/3.13) azure-ai-agentserver-responses/2.3.0 (python/3.13)"
ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Origin:
    """Which agent and version answers, in which session and second."""

    agent: str
    version: str
    session: str
    now: int


def response(origin: Origin, answer: Json) -> Json:
    """Return a response; ``kind`` of the answer makes it failed, incomplete, a refusal or a function call."""
    key = secrets.token_hex(8) + "00"
    kind = str(answer.get("kind", "text"))
    response_id = _id("caresp", key)
    reference = {"type": "agent_reference", "name": origin.agent, "version": origin.version}
    item = _item(kind, str(answer.get("text", "pong")), key)
    body: Json = {
        "id": response_id,
        "object": "response",
        "output": [item | {"status": "completed", "response_id": response_id, "agent_reference": reference}],
        "created_at": origin.now,
        "parallel_tool_calls": False,
        "agent_reference": reference,
        "response_id": response_id,
        "model": "",
        "agent_session_id": origin.session,
        "background": False,
        **_end(kind, origin.now),
    }
    members: dict[str, Any] = answer.get("response") or {}
    return body | members


def _item(kind: str, text: str, key: str) -> Json:
    if kind == "function_call":
        call = {"call_id": "call_1", "name": text, "arguments": "{}"}
        return {"type": "function_call", "id": _id("fc", key), **call}
    written: Json = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    content = {"type": "refusal", "refusal": text} if kind == "refusal" else written
    return {"type": "message", "id": _id("msg", key), "role": "assistant", "content": [content]}


def _end(kind: str, now: int) -> Json:
    if kind == "failed":
        error = {"code": "server_error", "message": "An internal server error occurred."}
        return {"status": "failed", "error": error}
    if kind == "incomplete":
        return {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return {"status": "completed", "completed_at": now}


def responses_error(status: int, answer: Json) -> Json:
    """Return the error of an agent that raised, or that refused the question."""
    code = "server_error" if status >= 500 else "invalid_request"
    message = str(answer.get("text", "internal server error"))
    return {"message": message, "type": code if status >= 500 else "invalid_request_error", "code": code, "param": None}


def invocations_error() -> Json:
    """Return the error of an agent that raised."""
    return {"code": "internal_error", "message": "Internal server error"}


def _id(prefix: str, key: str) -> str:
    """Return an id as the server makes it: items of a response share its first characters."""
    return f"{prefix}_{key}{''.join(secrets.choice(ALPHABET) for _ in range(32))}"
