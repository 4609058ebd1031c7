"""Agents' answers: one suite for configured answers and for an agent on Microsoft's server, through the stand-in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from local.agents.pool import AgentPool
from local.agents.server_venv import ServerVenvError, server_python
from local.foundry.server import Foundry
from local.images import SAMPLE_AGENT, push_artifact
from local.registry.server import Registry
from tests.contract.agent_images import archive, file_entry, image

pytestmark = pytest.mark.timeout(300)  # the first run installs Microsoft's server

AGENT = Path(__file__).with_name("answering_agent.py")
SERVICE = {"x-request-id", "apim-request-id", "x-agent-session-id", "x-agent-version-resolved", "x-platform-server"}


@dataclass
class Agent:
    """An agent that gives each kind of answer."""

    foundry: Foundry
    session: ClientSession
    is_process: bool
    pool: AgentPool | None = None
    configured: dict[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"{self.foundry.url}/api/projects/demo/agents/hello"

    async def respond(self, kind: str, configured: dict[str, Any], **more: Any) -> tuple[ClientResponse, Any]:
        return await self._post("openai/responses", configured, json={"input": kind, "store": False} | more)

    async def invoke(self, body: str, configured: dict[str, Any]) -> tuple[ClientResponse, Any]:
        return await self._post("invocations", configured, data=body)

    async def _post(self, path: str, configured: dict[str, Any], **body: Any) -> tuple[ClientResponse, Any]:
        self.foundry.project.provisioning.answer = {} if self.is_process else {".": configured}
        async with self.session.post(f"{self.base}/endpoint/protocols/{path}", **body) as answer:
            is_json = answer.content_type == "application/json"
            return answer, await answer.json() if is_json else await answer.text()


@pytest.fixture(params=["configured", "process"])
async def agent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Agent]:
    is_process = request.param == "process"
    await install() if is_process else None
    registry = Registry("demo")
    await registry.start()
    pool = AgentPool(tmp_path / "agents") if is_process else None
    foundry = Foundry(registry.url, pool=pool)
    await foundry.start()
    foundry.project.provisioning.seconds = 0
    foundry.project.provisioning.ready_within_s = 100
    async with ClientSession(headers={"Authorization": "Bearer t"}) as session:
        agent = Agent(foundry, session, is_process, pool)
        await create(agent, registry, AGENT)
        yield agent
    await foundry.stop()
    await registry.stop()


async def install() -> None:
    try:
        await server_python(print)
    except ServerVenvError as error:
        pytest.skip(str(error))


async def create(agent: Agent, registry: Registry, main: Path) -> None:
    """Push an image with this program, create a version, and wait until it is active."""
    layer = archive(file_entry("app/main.py", main.read_bytes()))
    digest = await push_artifact(registry.url.removeprefix("http://"), "agents/hello", "v1", image(layer))
    container = {"container_configuration": {"image": f"demo.azurecr.io/agents/hello@{digest}"}}
    body = {"definition": {"kind": "hosted", "cpu": "1", "memory": "2Gi", **container}}
    async with agent.session.post(f"{agent.base}/versions", json=body) as answer:
        number = (await answer.json())["version"]
    while True:
        async with agent.session.get(f"{agent.base}/versions/{number}") as answer:
            version = await answer.json()
        if version["status"] != "creating":
            assert version["status"] == "active", version
            return
        await asyncio.sleep(0.05)


REFERENCE = {"type": "agent_reference", "name": "hello", "version": "1"}
TEXT = {"type": "output_text", "text": "pong", "annotations": [], "logprobs": []}
MESSAGE = {"type": "message", "role": "assistant", "content": [TEXT]}
REFUSAL = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": "{}"}
FAILED = {"status": "failed", "error": {"code": "server_error", "message": "An internal server error occurred."}}
INCOMPLETE = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
COMPLETED = {"status": "completed", "completed_at": int}
KINDS = [
    pytest.param("ping", {}, MESSAGE, COMPLETED, id="text"),
    pytest.param("failed", {"kind": "failed"}, MESSAGE, FAILED, id="failed"),
    pytest.param("incomplete", {"kind": "incomplete"}, MESSAGE, INCOMPLETE, id="incomplete"),
    pytest.param("refusal", {"kind": "refusal", "text": "no"}, REFUSAL, COMPLETED, id="refusal"),
    pytest.param("function_call", {"kind": "function_call", "text": "find"}, CALL, COMPLETED, id="function call"),
]


@pytest.mark.parametrize(("question", "configured", "item", "end"), KINDS)
async def test_a_response_has_the_members_of_the_server(
    agent: Agent, question: str, configured: dict[str, Any], item: dict[str, Any], end: dict[str, Any]
) -> None:
    answer, body = await agent.respond(question, configured)
    assert answer.status == 200
    assert {name.lower() for name in answer.headers} >= SERVICE
    assert "x-platform-error-source" not in answer.headers
    assert answer.headers["x-platform-server"].startswith("azure-ai-agentserver-core/2.2.0 (python/3.")
    session, key = answer.headers["x-agent-session-id"], body["id"].removeprefix("caresp_")[:18]
    expected = {
        "id": str,
        "object": "response",
        "output": [item | {"id": str, "status": "completed", "response_id": body["id"], "agent_reference": REFERENCE}],
        "created_at": int,
        "parallel_tool_calls": False,
        "agent_reference": REFERENCE,
        "response_id": body["id"],
        "model": "",
        "agent_session_id": session,
        "background": False,
        **end,
    }
    assert_like(body, expected)
    assert len(body["id"]) == len("caresp_") + 50
    assert body["output"][0]["id"].partition("_")[2].startswith(key[:16])


def assert_like(found: Any, expected: Any) -> None:
    """A type in the expected value stands for any value of this type."""
    if isinstance(expected, type):
        assert type(found) is expected
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_like(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for left, right in zip(found, expected, strict=True):
            assert_like(left, right)
    else:
        assert found == expected


async def test_an_agent_that_raises_before_it_answers_is_an_error_of_the_server(agent: Agent) -> None:
    answer, body = await agent.respond("raises", {"status": 500})
    assert answer.status == 500
    assert answer.headers["x-platform-error-source"] == "upstream"
    assert {name.lower() for name in answer.headers} >= SERVICE
    error = {"message": "internal server error", "type": "server_error", "code": "server_error", "param": None}
    assert body == {"error": error}


async def test_an_invocation_has_an_id_and_its_error_another_shape(agent: Agent) -> None:
    answer, body = await agent.invoke("ping", {})
    assert (answer.status, body, answer.content_type) == (200, "pong", "text/plain")
    assert {name.lower() for name in answer.headers} >= SERVICE | {"x-agent-invocation-id"}
    answer, body = await agent.invoke("raises", {"status": 500})
    assert (answer.status, answer.headers["x-platform-error-source"]) == (500, "upstream")
    assert body == {"error": {"code": "internal_error", "message": "Internal server error"}}


async def test_a_stream_ends_with_the_whole_response(agent: Agent) -> None:
    answer, body = await agent.respond("ping", {}, stream=True)
    assert answer.content_type == "text/event-stream"
    last = body.strip().split("\n\n")[-1]
    assert last.startswith("event: response.completed\ndata: {")
    assert '"text": "pong"' in last


async def test_a_pinned_session_is_the_session_of_the_answer(agent: Agent) -> None:
    body = {"version_indicator": {"type": "version_ref", "agent_version": "1"}}
    async with agent.session.post(f"{agent.base}/endpoint/sessions", json=body) as answer:
        session = (await answer.json())["agent_session_id"]
    asked, response = await agent.respond("ping", {}, agent_session_id=session)
    assert asked.headers["x-agent-session-id"] == response["agent_session_id"] == session


async def test_the_image_of_local_push_answers_and_proves_what_it_has(tmp_path: Path) -> None:
    await install()
    registry, pool = Registry("demo"), AgentPool(tmp_path / "agents")
    await registry.start()
    foundry = Foundry(registry.url, pool=pool)
    await foundry.start()
    foundry.project.provisioning.ready_within_s = 100
    async with ClientSession(headers={"Authorization": "Bearer t"}) as session:
        agent = Agent(foundry, session, is_process=True)
        await create(agent, registry, SAMPLE_AGENT)
        _, ping = await agent.respond("ping", {})
        _, proof = await agent.respond("prove FOUNDRY_AGENT_NAME nonce", {})
        _, missing = await agent.respond("prove KEY nonce", {})
    assert ping["output"][0]["content"][0]["text"] == "pong"
    expected = hmac.new(b"hello", b"nonce", hashlib.sha256).hexdigest()
    assert proof["output"][0]["content"][0]["text"] == expected
    assert missing["output"][0]["content"][0]["text"] == "not set"
    await foundry.stop()
    await registry.stop()


async def test_without_the_server_configured_answers_stand_in_and_the_stack_says_so(tmp_path: Path) -> None:
    reports: list[str] = []

    async def python(_: Callable[[str], None]) -> Path:
        raise ServerVenvError("Microsoft's server for agents could not be installed: no network")

    registry = Registry("demo")
    await registry.start()
    foundry = Foundry(registry.url, pool=AgentPool(tmp_path / "agents", reports.append, python))
    await foundry.start()
    async with ClientSession(headers={"Authorization": "Bearer t"}) as session:
        agent = Agent(foundry, session, is_process=True)
        await create(agent, registry, SAMPLE_AGENT)
        assert (await agent.invoke("ping", {}))[1] == "pong"
    (report,) = reports
    assert report.endswith("could not be installed: no network; agents that need it give configured answers")
    await foundry.stop()
    await registry.stop()
