"""Probes an agent through the project client's own pipeline: one credential, and an answer of limited size.

``send_request`` takes 3 ms where the client of ``get_openai_client`` takes 266 ms, and it serves both protocols.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.rest import HttpRequest

from core.agents_file.spec import Probe
from core.model import Answer
from handlers.gateways.azure_http import NO_TRACE, UNREADABLE_ANSWER
from handlers.gateways.errors import TransientError
from handlers.gateways.foundry.answers import MAX_ANSWER_BYTES, answer_head, read_answer, refused_session
from handlers.gateways.foundry.calls import ONCE
from handlers.gateways.foundry.errors import SERVICE, write_failed
from handlers.redaction import foreign_answer

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

MAX_CONNECT_SECONDS = 5.0


async def open_session(client: AIProjectClient, agent: str, version: str, within: float) -> str | Answer:
    """A session on one version, or the service's error answer."""
    body: dict[str, Any] = {"version_indicator": {"type": "version_ref", "agent_version": version}}
    what = f"open a session on version {version} of {agent}"
    try:
        async with asyncio.timeout(within):
            options = {**ONCE, **NO_TRACE, **_timeouts(within)}
            session = await client.agents.create_session(agent, body, **options)
            return str(session["agent_session_id"])
    except (AzureError, *UNREADABLE_ANSWER) as error:
        if not isinstance(error, HttpResponseError) or error.status_code is None:
            raise write_failed(what, error, None) from error
        return foreign_answer(refused_session(error, error.status_code))


async def ask(client: AIProjectClient, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
    """Send one probe over its protocol; a break within an answer is the agent's fault, not that of our network."""
    request, answer = _request(agent, probe, session), None
    options = {**ONCE, **_timeouts(within)}
    try:
        async with asyncio.timeout(within), await client.send_request(request, stream=True, **options) as response:
            answer = answer_head(response.status_code, response.headers)
            return foreign_answer(read_answer(answer, await _body(response), probe))
    except (AzureError, *UNREADABLE_ANSWER) as error:
        if answer is None:
            raise TransientError(SERVICE, "no answer", f"ask {agent}: {type(error).__name__}") from error
        if isinstance(error, TimeoutError):
            return foreign_answer(replace(answer, problem=f"and not to the end within {within:.0f} s"))
        return foreign_answer(replace(answer, status=502 if answer.status < 300 else answer.status, code="cut off"))


def _request(agent: str, probe: Probe, session: str | None) -> HttpRequest:
    base = f"/agents/{agent}/endpoint/protocols"
    pinned = {"agent_session_id": session} if session else {}
    if probe.ask is not None:
        # Stored, each response would stay; and an agent without storage answers 500 (docs/reference/wire.md)
        body = {"input": probe.ask, "store": False, **pinned}
        return HttpRequest("POST", f"{base}/openai/responses?api-version=v1", json=body)
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
