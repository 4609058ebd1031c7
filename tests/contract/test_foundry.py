"""Foundry: one suite for the fake and for the real SDK against the stand-in."""

from __future__ import annotations

import asyncio
import html
import json
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from azure.ai.projects.aio import AIProjectClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from core.model import Definition, Failure, Routing, SecretValue, Status
from handlers.gateways.errors import TOO_MANY_VERSIONS, PermanentError, TransientError
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.interfaces import DeleteResult, Foundry
from local.foundry.server import Foundry as StandIn
from local.foundry.sessions import open_session
from local.tls import Authority
from tests.support.local_clients import AsyncLocalCredential, plan_faults

IMAGE = f"demo.azurecr.io/agents/hello@sha256:{'a' * 64}"
SECRET = "canary-5b1c"
DEFINITION = Definition(
    IMAGE,
    "1",
    "2Gi",
    (("responses", "2.0.0"),),
    {"MODE": "fast", "KEY": SecretValue(SECRET)},
    {"session_configuration": {"idle_timeout_seconds": 900}},
)
TOOLS: list[dict[str, object]] = [
    {"type": "code_interpreter"},
    {"type": "mcp", "server_label": "docs", "server_url": "https://d"},
]


def other(letter: str) -> Definition:
    return replace(DEFINITION, image=IMAGE.replace("a" * 64, letter * 64))


class TrustingFoundry(AzureFoundry):
    """The gateway with a client that trusts the throw-away authority; a process would set SSL_CERT_FILE instead."""

    def __init__(self, endpoint: str, ca: Path) -> None:
        super().__init__(endpoint, AsyncLocalCredential())
        self._made = AIProjectClient(
            endpoint,
            AsyncLocalCredential(),
            connection_verify=str(ca),
            retry_backoff_factor=0.01,
            connection_timeout=5,
            read_timeout=2,
        )


@dataclass
class Arranged:
    foundry: Foundry
    clock: ManualClock

    def fail(self, letter: str, failure: Failure) -> None:
        raise NotImplementedError

    def converse(self, agent: str, number: str) -> None:
        raise NotImplementedError


class Faked(Arranged):
    foundry: InMemoryFoundry

    def fail(self, letter: str, failure: Failure) -> None:
        self.foundry.failures[letter * 64] = failure

    def converse(self, agent: str, number: str) -> None:
        self.foundry.agents[agent].versions_in_use.add(number)


@dataclass
class Served(Arranged):
    stand_in: StandIn
    url: str

    def fail(self, letter: str, failure: Failure) -> None:
        told = {"code": failure.code, "message": failure.message}
        self.stand_in.project.provisioning.fail[letter * 64] = told

    def converse(self, agent: str, number: str) -> None:
        open_session(self.stand_in.project.agents[agent], number, self.clock.now().timestamp())


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    clock, authority = ManualClock(), Authority(tmp_path)
    stand_in = StandIn(clock=lambda: clock.now().timestamp())
    stand_in.project.provisioning.seconds = 20
    url = await stand_in.start(tls=authority.server())
    foundry = TrustingFoundry(f"{url}/api/projects/demo", authority.ca)
    yield Served(foundry, clock, stand_in, url)
    await foundry.close()
    await stand_in.stop()


@pytest.fixture(params=["fake", "stand-in"])
async def arranged(request: pytest.FixtureRequest, served: Served) -> Arranged:
    if request.param == "fake":
        clock = ManualClock()
        return Faked(InMemoryFoundry(clock, provisioning=20), clock)
    return served


async def test_what_does_not_exist_is_none(arranged: Arranged) -> None:
    assert await arranged.foundry.get_agent("hello") is None
    assert await arranged.foundry.get_version("hello", "1") is None
    assert list(await arranged.foundry.list_versions("hello")) == []


async def test_a_version_is_creating_and_then_active(arranged: Arranged) -> None:
    made = await arranged.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    assert (made.number, made.status, made.image) == ("1", Status.CREATING, IMAGE)
    assert made.variables == {"MODE", "KEY"}
    assert made.metadata == {"slipway.tag": "v1"}
    assert made.created_at == arranged.clock.now()
    arranged.clock.passed += 21
    found = await arranged.foundry.get_version("hello", "1")
    assert found == replace(made, status=Status.ACTIVE)


async def test_a_version_that_fails_says_why(arranged: Arranged) -> None:
    arranged.fail("b", Failure("ImageError", "manifest unknown"))
    await arranged.foundry.create_version("hello", other("b"), {})
    arranged.clock.passed += 21
    found = await arranged.foundry.get_version("hello", "1")
    assert found is not None
    assert (found.status, found.failure) == (Status.FAILED, Failure("ImageError", "manifest unknown"))


async def test_an_identical_definition_is_the_version_that_exists(arranged: Arranged) -> None:
    first = await arranged.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    again = await arranged.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v2"})
    assert again == first


async def test_a_new_agent_follows_its_newest_version_until_it_is_routed(arranged: Arranged) -> None:
    await arranged.foundry.create_version("hello", DEFINITION, {})
    agent = await arranged.foundry.get_agent("hello")
    assert agent is not None
    assert agent.routing.follows_latest
    assert agent.live == "1"
    assert agent.enabled
    assert await arranged.foundry.set_routing("hello", Routing.to("1")) == Routing.to("1")
    await arranged.foundry.create_version("hello", other("b"), {})
    agent = await arranged.foundry.get_agent("hello")
    assert agent is not None
    assert (agent.live, agent.latest.number if agent.latest else None) == ("1", "2")


async def test_versions_come_from_every_page_oldest_first(arranged: Arranged) -> None:
    for number in range(130):
        await arranged.foundry.create_version("hello", replace(DEFINITION, environment={"N": str(number)}), {})
    found = await arranged.foundry.list_versions("hello")
    assert [version.number for version in found] == [str(number) for number in range(1, 131)]


async def test_deleting_respects_sessions_and_takes_gone_for_done(arranged: Arranged) -> None:
    for letter in "ab":
        await arranged.foundry.create_version("hello", other(letter), {})
    arranged.converse("hello", "1")
    assert await arranged.foundry.delete_version("hello", "1") is DeleteResult.SESSIONS_ACTIVE
    assert await arranged.foundry.delete_version("hello", "2") is DeleteResult.DELETED
    assert await arranged.foundry.delete_version("hello", "2") is DeleteResult.GONE


async def test_a_toolbox_gets_a_version_only_when_its_tools_differ(arranged: Arranged) -> None:
    first = await arranged.foundry.ensure_toolbox("hello-tools", TOOLS)
    again = await arranged.foundry.ensure_toolbox("hello-tools", TOOLS)
    changed = await arranged.foundry.ensure_toolbox("hello-tools", TOOLS[:1])
    assert (first.version, again, changed.version) == ("1", first, "2")
    assert "/toolboxes/hello-tools/versions/1/mcp" in first.endpoint


async def test_a_toolbox_tells_its_versions_and_gives_one_up(arranged: Arranged) -> None:
    assert list(await arranged.foundry.list_toolbox_versions("hello-tools")) == []
    for tools in (TOOLS, TOOLS[:1]):
        await arranged.foundry.ensure_toolbox("hello-tools", tools)
    found = await arranged.foundry.list_toolbox_versions("hello-tools")
    assert {one.version: (one.is_ours, one.default) for one in found} == {"1": (True, False), "2": (True, True)}
    assert await arranged.foundry.delete_toolbox_version("hello-tools", "1") is DeleteResult.DELETED
    assert await arranged.foundry.delete_toolbox_version("hello-tools", "1") is DeleteResult.GONE
    assert [one.version for one in await arranged.foundry.list_toolbox_versions("hello-tools")] == ["2"]


async def test_the_services_own_limit_has_a_code_of_its_own(served: Served) -> None:
    served.stand_in.project.provisioning.limit = 1
    await served.foundry.create_version("hello", DEFINITION, {})
    with pytest.raises(PermanentError) as refused:
        await served.foundry.create_version("hello", other("b"), {})
    assert refused.value.code == TOO_MANY_VERSIONS


async def test_what_foundry_refuses_is_permanent(arranged: Arranged) -> None:
    with pytest.raises(PermanentError) as refused:
        await arranged.foundry.create_version("hello", replace(DEFINITION, cpu="3"), {})
    assert refused.value.status == 400
    with pytest.raises(PermanentError):
        await arranged.foundry.set_routing("nobody", Routing.to("1"))


async def test_the_request_is_what_the_wire_contract_says(served: Served) -> None:
    await served.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    (asked,) = served.stand_in.requests
    assert (asked["method"], asked["path"]) == ("POST", "/api/projects/demo/agents/hello/versions?api-version=v1")
    assert asked["body"] == {
        "definition": {
            "kind": "hosted",
            "cpu": "1",
            "memory": "2Gi",
            "container_configuration": {"image": IMAGE},
            "protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
            "environment_variables": {"MODE": "***", "KEY": "***"},
            "session_configuration": {"idle_timeout_seconds": 900},
        },
        "metadata": {"slipway.tag": "v1"},
    }


async def test_routing_touches_the_selector_alone(served: Served) -> None:
    await served.foundry.create_version("hello", DEFINITION, {})
    before = dict(served.stand_in.project.agents["hello"].endpoint)
    await served.foundry.set_routing("hello", Routing.to("1"))
    after = served.stand_in.project.agents["hello"].endpoint
    assert {key: value for key, value in after.items() if key != "version_selector"} == before


def wait(seconds: str) -> dict[str, str]:
    return {"Retry-After": seconds}


FAULTS: list[Any] = [
    pytest.param({"status": 429, "headers": wait("7")}, TransientError, False, 7.0, id="429 with Retry-After"),
    pytest.param({"status": 429}, TransientError, False, None, id="429 without"),
    pytest.param({"status": 500}, TransientError, True, None, id="500"),
    pytest.param({"status": 502}, TransientError, True, None, id="502"),
    pytest.param({"status": 503, "headers": wait("1")}, TransientError, True, 1.0, id="503 with Retry-After"),
    pytest.param({"drop": True}, TransientError, True, None, id="a closed connection"),
    pytest.param({"delay_s": 3, "status": 200}, TransientError, True, None, id="a late answer"),
    pytest.param({"status": 200, "body": "<html>oops</html>"}, TransientError, True, None, id="HTML"),
    pytest.param({"status": 200, "body": '{"name": "hel'}, TransientError, True, None, id="half an answer"),
    pytest.param({"status": 200, "body": "{}"}, TransientError, True, None, id="an answer without a version"),
    pytest.param({"status": 401}, PermanentError, None, None, id="401"),
    pytest.param({"status": 403}, PermanentError, None, None, id="403"),
    pytest.param({"status": 409}, PermanentError, None, None, id="409"),
]


@pytest.mark.parametrize(("fault", "expected", "unclear", "retry_after"), FAULTS)
async def test_a_create_is_sent_once_whatever_comes_back(
    served: Served, fault: dict[str, Any], expected: type[Exception], unclear: bool | None, retry_after: float | None
) -> None:
    await plan_faults(served.url, {"path": "/versions", "method": "POST", **fault})
    with pytest.raises(expected) as failed:
        await served.foundry.create_version("hello", DEFINITION, {})
    assert len(served.stand_in.requests) == 1
    if isinstance(failed.value, TransientError):
        assert failed.value.unclear is unclear
        assert failed.value.retry_after == retry_after


async def test_a_read_is_asked_again_and_then_transient(served: Served) -> None:
    await plan_faults(served.url, {"path": "/agents/hello", "status": 503})
    with pytest.raises(TransientError) as failed:
        await served.foundry.get_agent("hello")
    assert not failed.value.unclear
    assert len(served.stand_in.requests) == 4


async def test_a_service_that_is_down_is_transient_and_clear(served: Served) -> None:
    await served.stand_in.stop()
    with pytest.raises(TransientError) as failed:
        await served.foundry.create_version("hello", DEFINITION, {})
    assert not failed.value.unclear


WRITTEN = 'canary "5b1c" <&> \u00e9'
"""A secret that JSON, HTML and addresses write differently."""


@pytest.mark.parametrize("secret", [SECRET, WRITTEN])
async def test_a_service_that_repeats_what_it_was_sent_gives_no_secret_away(served: Served, secret: str) -> None:
    ways = f"KEY={secret} {json.dumps(secret)} {html.escape(secret)} {quote(secret)} is not allowed"
    body = {"error": {"code": "invalid_request", "message": ways}}
    await plan_faults(served.url, {"path": "/versions", "status": 400, "body": body})
    with pytest.raises(PermanentError) as refused:
        await served.foundry.create_version("hello", replace(DEFINITION, environment={"KEY": SecretValue(secret)}), {})
    told = "".join(traceback.format_exception(refused.value))
    assert not [way for way in (secret, "canary", "5b1c") if way in told]
    assert "KEY=***" in told


async def test_no_traceback_of_a_create_shows_what_was_sent(served: Served) -> None:
    await plan_faults(served.url, {"path": "/versions", "status": 500, "body": f"<p>{SECRET}</p>"})
    with pytest.raises(TransientError) as failed:
        await served.foundry.create_version("hello", DEFINITION, {})
    assert SECRET not in "".join(traceback.format_exception(failed.value))
    assert failed.value.__context__ is None


NOT_ABOUT_THE_AGENT: list[Any] = [
    pytest.param({"error": {"code": "ResourceNotFound", "message": "the project does not exist"}}, id="the project"),
    pytest.param("<html>404</html>", id="a proxy's page"),
]


@pytest.mark.parametrize("body", NOT_ABOUT_THE_AGENT)
async def test_a_404_that_is_not_about_the_agent_deletes_nothing(served: Served, body: Any) -> None:
    await served.foundry.create_version("hello", DEFINITION, {})
    await plan_faults(served.url, {"path": "/agents/", "status": 404, "body": body})
    with pytest.raises(PermanentError):
        await served.foundry.get_agent("hello")
    with pytest.raises(PermanentError):
        await served.foundry.get_version("hello", "1")
    with pytest.raises(PermanentError):
        await served.foundry.delete_version("hello", "1")


async def test_a_list_as_an_answer_is_transient(served: Served) -> None:
    await plan_faults(served.url, {"path": "/agents/", "status": 200, "body": []})
    with pytest.raises(TransientError):
        await served.foundry.get_agent("hello")
    with pytest.raises(TransientError) as failed:
        await served.foundry.create_version("hello", DEFINITION, {})
    assert failed.value.unclear


class Nobody(AsyncLocalCredential):
    """A credential that has no token to give."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise ClientAuthenticationError("no identity here")


async def test_a_create_without_a_token_was_never_sent(served: Served) -> None:
    foundry = AzureFoundry(f"{served.url}/api/projects/demo", Nobody())
    with pytest.raises(TransientError) as failed:
        await foundry.create_version("hello", DEFINITION, {})
    await foundry.close()
    assert not failed.value.unclear
    assert not served.stand_in.requests


async def test_clients_are_built_once_however_many_ask_first(served: Served) -> None:
    foundry = AzureFoundry(f"{served.url}/api/projects/demo", AsyncLocalCredential())
    first, second = await asyncio.gather(foundry._client(), foundry._client())
    await foundry.close()
    assert first is second


async def test_an_empty_page_ends_a_list_although_it_names_a_cursor(served: Served) -> None:
    version = {"version": "1", "created_at": 1, "status": "active", "definition": {}}
    first = {"data": [version], "last_id": "hello:1", "has_more": True}
    await plan_faults(
        served.url,
        {"path": "/versions", "status": 200, "body": first, "times": 1},
        {"path": "/versions", "status": 200, "body": first | {"data": []}},
    )
    assert [one.number for one in await served.foundry.list_versions("hello")] == ["1"]


async def test_tools_that_come_back_with_defaults_make_no_new_version(served: Served) -> None:
    first = await served.foundry.ensure_toolbox("hello-tools", TOOLS)
    for tool in served.stand_in.project.toolboxes["hello-tools"]["versions"][0]["tools"]:
        tool["require_approval"] = "never"
    assert await served.foundry.ensure_toolbox("hello-tools", TOOLS) == first


async def test_a_selector_that_names_latest_follows_it(served: Served) -> None:
    await served.foundry.create_version("hello", DEFINITION, {})
    rule = {"type": "FixedRatio", "agent_version": "@latest", "traffic_percentage": 100}
    selector = {"version_selector": {"version_selection_rules": [rule]}}
    served.stand_in.project.agents["hello"].endpoint |= selector
    await served.foundry.create_version("hello", other("b"), {})
    agent = await served.foundry.get_agent("hello")
    assert agent is not None
    assert agent.routing.follows_latest
    assert agent.live == "2"


async def test_a_list_whose_cursor_never_ends_is_an_error(served: Served) -> None:
    version = {"version": "1", "created_at": 1, "status": "active", "definition": {}}
    body = {"data": [version], "last_id": "hello:1", "has_more": True}
    await plan_faults(served.url, {"path": "/versions", "status": 200, "body": body})
    with pytest.raises(PermanentError, match="PAGING_LOOP"):
        await served.foundry.list_versions("hello")
    with pytest.raises(PermanentError, match="PAGING_LOOP"):
        await served.foundry.ensure_toolbox("hello", TOOLS)
