"""Probes an agent through the project client's own pipeline: one credential, and an answer of limited size.

``send_request`` takes 3 ms where the client of ``get_openai_client`` takes 266 ms, and it serves both protocols.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.rest import HttpRequest

from core.agents_file.spec import Probe
from core.model import Answer
from handlers.gateways.azure_http import UNREADABLE_ANSWER
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.errors import SERVICE, write_failed
from handlers.redaction import ServiceCode

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

MAX_ANSWER_BYTES = 1_000_000
MAX_CONNECT_SECONDS = 5.0
NO_RETRY_OR_REDIRECT: dict[str, Any] = {"retry_total": 0, "permit_redirects": False}
"""The caller decides on a retry by the answer; a redirect would send our token elsewhere."""


async def open_session(client: AIProjectClient, agent: str, version: str, within: float) -> str | Answer:
    """A session on one version, or the service's error answer."""
    body: dict[str, Any] = {"version_indicator": {"type": "version_ref", "agent_version": version}}
    what = f"open a session on version {version} of {agent}"
    try:
        async with asyncio.timeout(within):
            session = await client.agents.create_session(agent, body, **NO_RETRY_OR_REDIRECT, **_timeouts(within))
            return str(session["agent_session_id"])
    except TimeoutError as error:
        raise TransientError(SERVICE, "no answer", what) from error
    except (AzureError, *UNREADABLE_ANSWER) as error:
        failed = write_failed(what, error, None)
        if not isinstance(error, HttpResponseError) or error.status_code is None:
            raise failed from error
        return Answer(error.status_code, code="" if failed.code == str(error.status_code) else failed.code)


async def ask(client: AIProjectClient, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
    """Send one probe over its protocol; a break within an answer is the agent's fault, not that of our network."""
    request, answer = _request(agent, probe, session), None
    options = {**NO_RETRY_OR_REDIRECT, **_timeouts(within)}
    try:
        async with asyncio.timeout(within), await client.send_request(request, stream=True, **options) as response:
            answer = Answer(response.status_code, problem=f"and not to the end within {within:.0f} s")
            return _read(response.status_code, await _body(response), probe)
    except (AzureError, TimeoutError, *UNREADABLE_ANSWER) as error:
        if answer is None:
            raise TransientError(SERVICE, "no answer", f"ask {agent}: {type(error).__name__}") from error
        if isinstance(error, TimeoutError):
            return answer
        return Answer(502 if answer.status < 300 else answer.status, code="cut off")


def _request(agent: str, probe: Probe, session: str | None) -> HttpRequest:
    base = f"/agents/{agent}/endpoint/protocols"
    pinned = {"agent_session_id": session} if session else {}
    if probe.ask is not None:
        return HttpRequest("POST", f"{base}/openai/responses?api-version=v1", json={"input": probe.ask, **pinned})
    return HttpRequest("POST", f"{base}/invocations", params={"api-version": "v1", **pinned}, json=probe.post)


def _timeouts(within: float) -> dict[str, Any]:
    return {"connection_timeout": min(MAX_CONNECT_SECONDS, within), "read_timeout": within}


async def _body(response: Any) -> bytes | None:
    """The bytes of an answer; None where there are too many."""
    body = bytearray()
    async for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return None
    return bytes(body)


def _read(status: int, body: bytes | None, probe: Probe) -> Answer:
    if body is None:
        return Answer(status, problem=f"with more than {MAX_ANSWER_BYTES:,} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Answer(status, problem="which is not UTF-8 text")
    answer = _json(text)
    if status >= 300:
        error = answer.get("error") if isinstance(answer, Mapping) else None
        code = str(error.get("code") or "") if isinstance(error, Mapping) else ""
        return Answer(status, text, ServiceCode(code))
    if probe.ask is None:
        return Answer(status, text)
    if not isinstance(answer, Mapping):
        return Answer(status, problem="which is not a response object")
    return Answer(status, _output_text(answer), version=_version(answer))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _output_text(response: Mapping[str, Any]) -> str:
    """The text parts of a response's messages, one a line; a lone surrogate, which RE2 does not take, becomes ``?``."""
    output = response.get("output")
    messages = [message for message in output if isinstance(message, Mapping)] if isinstance(output, list) else []
    parts = [part for message in messages for part in message.get("content") or () if isinstance(part, Mapping)]
    text = "\n".join(str(part["text"]) for part in parts if isinstance(part.get("text"), str))
    return text.encode("utf-8", "replace").decode()


def _version(response: Mapping[str, Any]) -> str | None:
    reference = response.get("agent_reference")
    version = reference.get("version") if isinstance(reference, Mapping) else None
    return ServiceCode(str(version)) if version else None
