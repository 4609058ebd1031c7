"""Questions to an agent through the project client's own pipeline: one credential, and an answer of limited size.

``send_request`` takes 3 ms where the client of ``get_openai_client`` takes 266 ms, and both protocols go through it.
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
from handlers.redaction import redact_and_truncate

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

MAX_ANSWER_BYTES = 1_000_000
"""Bytes of an answer that are read: one that proves something is shorter."""
MAX_CODE_CHARS = 100
"""Characters of an error code or a version that an answer names: the agent wrote it, and it may know secrets."""
MAX_CONNECT_SECONDS = 5.0
NO_RETRY_OR_REDIRECT: dict[str, Any] = {"retry_total": 0, "permit_redirects": False}
"""Asking again is decided on the answer; a redirect would send our token elsewhere."""


async def open_session(client: AIProjectClient, agent: str, version: str, within: float) -> str | Answer:
    """A session on one version, or the service's answer in its place."""
    body: dict[str, Any] = {"version_indicator": {"type": "version_ref", "agent_version": version}}
    what = f"open a session on version {version} of {agent}"
    try:
        async with asyncio.timeout(within):
            made = await client.agents.create_session(agent, body, **NO_RETRY_OR_REDIRECT, **_timeouts(within))
            return str(made["agent_session_id"])
    except TimeoutError as error:
        raise TransientError(SERVICE, "no answer", what) from error
    except HttpResponseError as error:
        if error.status_code is None:
            raise write_failed(what, error, None) from error
        failed = write_failed(what, error, None)
        return Answer(error.status_code, code="" if failed.code == str(error.status_code) else failed.code)
    except (AzureError, *UNREADABLE_ANSWER) as error:
        raise write_failed(what, error, None) from error


async def ask(client: AIProjectClient, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
    """One question over the probe's protocol; what breaks once an answer began is the agent's, not our network's."""
    request, answer = _request(agent, probe, session), None
    what = f"ask {agent}"
    try:
        async with asyncio.timeout(within):
            async with await client.send_request(
                request, stream=True, **NO_RETRY_OR_REDIRECT, **_timeouts(within)
            ) as response:
                answer = Answer(response.status_code, problem=f"and not to the end within {within:.0f} s")
                return _read(response.status_code, await _body(response), probe)
    except (AzureError, TimeoutError, *UNREADABLE_ANSWER) as error:
        if answer is None:
            raise TransientError(SERVICE, "no answer", f"{what}: {type(error).__name__}") from error
        return answer if isinstance(error, TimeoutError) else _cut_off(answer.status)


def _cut_off(status: int) -> Answer:
    return Answer(502 if status < 300 else status, code="cut off")


def _request(agent: str, probe: Probe, session: str | None) -> HttpRequest:
    base = f"/agents/{agent}/endpoint/protocols"
    if probe.ask is not None:
        body: dict[str, Any] = {"input": probe.ask} | ({"agent_session_id": session} if session else {})
        return HttpRequest("POST", f"{base}/openai/responses?api-version=v1", json=body)
    pinned = {"agent_session_id": session} if session else {}
    return HttpRequest("POST", f"{base}/invocations", params={"api-version": "v1", **pinned}, json=probe.post)


def _timeouts(within: float) -> dict[str, Any]:
    return {"connection_timeout": min(MAX_CONNECT_SECONDS, within), "read_timeout": within}


async def _body(response: Any) -> bytes | None:
    """The bytes of an answer; None where there are too many."""
    read = bytearray()
    async for chunk in response.iter_bytes():
        read += chunk
        if len(read) > MAX_ANSWER_BYTES:
            return None
    return bytes(read)


def _read(status: int, body: bytes | None, probe: Probe) -> Answer:
    if body is None:
        return Answer(status, problem=f"with more than {MAX_ANSWER_BYTES:,} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Answer(status, problem="which is not UTF-8 text")
    told = _json(text)
    if status >= 300:
        error = told.get("error") if isinstance(told, Mapping) else None
        code = str(error.get("code") or "") if isinstance(error, Mapping) else ""
        return Answer(status, text, redact_and_truncate(code, MAX_CODE_CHARS))
    if probe.ask is None:
        return Answer(status, text)
    if not isinstance(told, Mapping):
        return Answer(status, problem="which is no response object")
    return Answer(status, _said(told), version=_version(told))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(response: Mapping[str, Any]) -> str:
    """The text parts of a response's messages, one a line; half a character, which RE2 does not take, as ``?``."""
    outputs = response.get("output")
    messages = [one for one in outputs if isinstance(one, Mapping)] if isinstance(outputs, list) else []
    parts = [part for one in messages for part in one.get("content") or () if isinstance(part, Mapping)]
    said = "\n".join(str(part["text"]) for part in parts if isinstance(part.get("text"), str))
    return said.encode("utf-8", "replace").decode()


def _version(response: Mapping[str, Any]) -> str | None:
    reference = response.get("agent_reference")
    version = reference.get("version") if isinstance(reference, Mapping) else None
    return redact_and_truncate(str(version), MAX_CODE_CHARS) if version else None
