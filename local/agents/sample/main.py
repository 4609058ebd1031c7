"""The agent in the images that ``local push`` makes, on Microsoft's server for agents; it knows nothing of Slipway.

It answers every question with ``pong``, and proves that it has a variable without printing it: to ``prove NAME NONCE``
it answers with the HMAC of the nonce under the variable's value. Variables of the image make it fail: see below.
"""

import asyncio
import hashlib
import hmac
import itertools
import os
import sys

EXIT = os.environ.get("SAMPLE_EXIT")
"""Exit with this text, before the server listens."""
ANSWER = os.environ.get("SAMPLE_ANSWER", "pong")
ANSWER_LATER = os.environ.get("SAMPLE_ANSWER_LATER", ANSWER)
"""The answer to every question but the first."""

if EXIT:
    sys.exit(EXIT)

from azure.ai.agentserver.invocations import InvocationAgentServerHost  # noqa: E402
from azure.ai.agentserver.responses import (  # noqa: E402
    CreateResponse,
    ResponseContext,
    ResponsesAgentServerHost,
    TextResponse,
)
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402


class Agent(InvocationAgentServerHost, ResponsesAgentServerHost):
    """Both protocols."""


# With its default observability the server looks for Application Insights outside this machine, and starts slower.
app = Agent(configure_observability=None)
numbers = itertools.count(1)


def answer(question: str) -> str:
    """Return the answer to a question."""
    number, words = next(numbers), question.split()
    if len(words) == 3 and words[0] == "prove":
        value = os.environ.get(words[1], "")
        return hmac.new(value.encode(), words[2].encode(), hashlib.sha256).hexdigest() if value else "not set"
    return ANSWER if number == 1 else ANSWER_LATER


@app.response_handler
async def respond(request: CreateResponse, context: ResponseContext, _: asyncio.Event) -> TextResponse:
    """Answer over the responses protocol."""
    return TextResponse(context, request, text=answer(await context.get_input_text() or ""))


@app.invoke_handler
async def invoke(request: Request) -> PlainTextResponse:
    """Answer over the invocations protocol."""
    return PlainTextResponse(answer((await request.body()).decode(errors="replace")))


print(f"agent {os.environ.get('FOUNDRY_AGENT_NAME')} version {os.environ.get('FOUNDRY_AGENT_VERSION')} starts")
app.run(host="127.0.0.1")
