"""An agent on Microsoft's server that gives every kind of answer; the question names the kind."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from azure.ai.agentserver.invocations import InvocationAgentServerHost
from azure.ai.agentserver.responses import (
    CreateResponse,
    ResponseContext,
    ResponseEventStream,
    ResponsesAgentServerHost,
)
from starlette.requests import Request
from starlette.responses import PlainTextResponse


class Agent(InvocationAgentServerHost, ResponsesAgentServerHost):
    pass


app = Agent(configure_observability=None)


@app.response_handler
async def respond(request: CreateResponse, context: ResponseContext, _: asyncio.Event) -> AsyncIterator[Any]:
    kind = await context.get_input_text()
    if kind == "raises":
        raise RuntimeError("before the first event")
    return _events(kind, ResponseEventStream(response_id=context.response_id, request=request))


async def _events(kind: str, stream: Any) -> AsyncIterator[Any]:
    items = {"function_call": _call, "refusal": _refusal}
    for event in (stream.emit_created(), stream.emit_in_progress(), *items.get(kind, _message)(stream)):
        yield event
    if kind == "incomplete":
        yield stream.emit_incomplete(reason="max_output_tokens")
    else:
        yield stream.emit_failed() if kind == "failed" else stream.emit_completed()


def _message(stream: Any) -> Iterable[Any]:
    return list(stream.output_item_message("pong"))


def _call(stream: Any) -> Iterable[Any]:
    return list(stream.output_item_function_call("find", "call_1", "{}"))


def _refusal(stream: Any) -> Iterable[Any]:
    message = stream.add_output_item_message()
    refusal = message.add_refusal_content()
    yield from (message.emit_added(), refusal.emit_added(), refusal.emit_delta("no"))
    yield from (refusal.emit_refusal_done("no"), refusal.emit_done(), message.emit_done())


@app.invoke_handler
async def invoke(request: Request) -> PlainTextResponse:
    if await request.body() == b"raises":
        raise RuntimeError("while it answered")
    return PlainTextResponse("pong")


app.run(host="127.0.0.1")
