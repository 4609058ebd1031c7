"""Forwards questions to an agent's process, as Foundry's gateway does, and streams the answers back."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from multidict import CIMultiDict

from local.agents.process import AgentProcess

MAX_SECONDS = 120.0
MAX_WHOLE = 8 * 1024**2
"""Bytes of an answer that is read whole; a longer answer, or one of unknown length, is streamed."""
HOP_BY_HOP = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade"}
)
ASKED = ("Content-Type", "Accept", "traceparent", "tracestate", "x-request-id")


class NoAnswerError(Exception):
    """The process broke the connection, or did not answer in time."""


async def forward(
    request: web.Request, process: AgentProcess, path: str, body: bytes, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send the body to a path of the agent; the service's own ``headers`` replace the agent's."""
    asked = {name: request.headers[name] for name in ASKED if name in request.headers}
    asked |= {name: value for name, value in request.headers.items() if name.lower().startswith("x-client-")}
    timeout = ClientTimeout(total=MAX_SECONDS)
    try:
        async with (
            ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.post(f"{process.url}{path}", data=body, headers=asked, allow_redirects=False) as answer,
        ):
            own = {name.lower() for name in headers}
            passed = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP | own]
            sent = CIMultiDict([*passed, *headers.items()])
            if (answer.content_length or MAX_WHOLE) < MAX_WHOLE:
                return web.Response(status=answer.status, body=await answer.read(), headers=sent)
            response = web.StreamResponse(status=answer.status, headers=sent)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    except (ClientError, TimeoutError) as error:
        raise NoAnswerError(type(error).__name__) from error
