"""Foundry: one suite for the gateway in memory and the real SDK against the stand-in."""

from __future__ import annotations

import asyncio
import html
import json
import re
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

from core.model import Answer, Definition, Failure, Routing, SecretValue, Status
from handlers.gateways.errors import TOO_MANY_VERSIONS, PermanentError, TransientError
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.foundry.plain_json import PAGE_SIZE
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.interfaces import DeleteResult, Foundry
from handlers.redaction import open_words
from local.foundry import sessions
from local.foundry.server import Foundry as StandIn
from local.tls import Authority
from tests.support.local_clients import AsyncLocalCredential, client_options, plan_faults

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


def with_image(letter: str) -> Definition:
    return replace(DEFINITION, image=IMAGE.replace("a" * 64, letter * 64))


class LocalFoundry(AzureFoundry):
    """The gateway with a client for the stand-in."""

    def __init__(self, endpoint: str, ca: Path) -> None:
        super().__init__(endpoint, AsyncLocalCredential())
        self._client.instance = AIProjectClient(endpoint, AsyncLocalCredential(), **client_options(ca))


@dataclass
class FoundryUnderTest:
    """A Foundry gateway, and what a test changes behind it."""

    foundry: Foundry
    clock: ManualClock

    def fail(self, letter: str, failure: Failure) -> None:
        raise NotImplementedError

    def open_session(self, agent: str, number: str) -> None:
        raise NotImplementedError

    def count_metadata(self, counts: bool = True) -> None:
        """Other metadata makes another version, or does not."""
        raise NotImplementedError


class InMemoryUnderTest(FoundryUnderTest):
    foundry: InMemoryFoundry

    def fail(self, letter: str, failure: Failure) -> None:
        self.foundry.failures[letter * 64] = failure

    def open_session(self, agent: str, number: str) -> None:
        self.foundry.agents[agent].versions_in_use.add(number)

    def count_metadata(self, counts: bool = True) -> None:
        self.foundry.deduplicates_by = "metadata" if counts else "definition"


@dataclass
class StandInUnderTest(FoundryUnderTest):
    stand_in: StandIn
    url: str

    def fail(self, letter: str, failure: Failure) -> None:
        error = {"code": failure.code, "message": failure.message}
        self.stand_in.project.provisioning.fail[letter * 64] = error

    def open_session(self, agent: str, number: str) -> None:
        sessions.open_session(self.stand_in.project.agents[agent], number, self.clock.now().timestamp())

    def count_metadata(self, counts: bool = True) -> None:
        self.stand_in.project.provisioning.metadata_counts = counts


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[StandInUnderTest]:
    clock, authority = ManualClock(), Authority(tmp_path)
    stand_in = StandIn(clock=lambda: clock.now().timestamp())
    stand_in.project.provisioning.seconds = 20
    url = await stand_in.start(tls=authority.server())
    foundry = LocalFoundry(f"{url}/api/projects/demo", authority.ca)
    yield StandInUnderTest(foundry, clock, stand_in, url)
    await foundry.close()
    await stand_in.stop()


@pytest.fixture(params=[False, True], ids=["definitions alone", "metadata counts"])
def metadata_counts(request: pytest.FixtureRequest) -> bool:
    """Whether other metadata makes another version: for the kind ``hosted`` nobody has recorded it."""
    return bool(request.param)


@pytest.fixture(params=["in-memory", "stand-in"])
async def tested(request: pytest.FixtureRequest, real: StandInUnderTest, metadata_counts: bool) -> FoundryUnderTest:
    clock = ManualClock()
    tested: FoundryUnderTest = InMemoryUnderTest(InMemoryFoundry(clock, provisioning=20), clock)
    tested = tested if request.param == "in-memory" else real
    tested.count_metadata(metadata_counts)
    return tested


async def test_a_missing_agent_or_version_is_none(tested: FoundryUnderTest) -> None:
    assert await tested.foundry.get_agent("hello") is None
    assert await tested.foundry.get_version("hello", "1") is None
    assert list(await tested.foundry.list_versions("hello")) == []


async def test_the_agents_of_the_project_are_listed(tested: FoundryUnderTest) -> None:
    assert list(await tested.foundry.list_agents()) == []
    for name in ("hello", "other"):
        await tested.foundry.create_version(name, DEFINITION, {})
    assert list(await tested.foundry.list_agents()) == ["hello", "other"]


async def test_a_version_is_first_creating_and_then_active(tested: FoundryUnderTest) -> None:
    created = await tested.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    assert (created.number, created.status, created.image) == ("1", Status.CREATING, IMAGE)
    assert created.variables == {"MODE", "KEY"}
    assert created.metadata["slipway.tag"] == "v1"
    assert created.created_at == tested.clock.now()
    tested.clock.passed += 21
    found = await tested.foundry.get_version("hello", "1")
    assert found == replace(created, status=Status.ACTIVE)


async def test_the_definition_of_a_version_has_its_values_each_as_a_secret(tested: FoundryUnderTest) -> None:
    assert await tested.foundry.get_definition("hello", "1") is None
    await tested.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    found = await tested.foundry.get_definition("hello", "1")
    assert found is not None
    assert (found.version.number, found.version.metadata["slipway.tag"]) == ("1", "v1")
    values = {name: SecretValue(value) for name, value in (("MODE", "fast"), ("KEY", SECRET))}
    assert found.definition == replace(DEFINITION, environment=values)
    assert SECRET not in repr(found)


async def test_a_failed_version_has_a_failure(tested: FoundryUnderTest) -> None:
    tested.fail("b", Failure("ImageError", "manifest unknown"))
    await tested.foundry.create_version("hello", with_image("b"), {})
    tested.clock.passed += 21
    found = await tested.foundry.get_version("hello", "1")
    assert found is not None
    assert (found.status, found.failure) == (Status.FAILED, Failure("ImageError", "manifest unknown"))


async def test_creating_an_identical_definition_returns_the_latest_version(
    tested: FoundryUnderTest, metadata_counts: bool
) -> None:
    first = await tested.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    assert await tested.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"}) == first
    other = await tested.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v2"})
    assert other.number == ("2" if metadata_counts else "1")


async def test_only_the_latest_version_comes_back_for_an_identical_definition(tested: FoundryUnderTest) -> None:
    for definition in (DEFINITION, with_image("b"), DEFINITION):
        await tested.foundry.create_version("hello", definition, {})
    assert [version.number for version in await tested.foundry.list_versions("hello")] == ["1", "2", "3"]


async def test_the_service_adds_metadata_whose_value_differs_between_answers(real: StandInUnderTest) -> None:
    await real.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    found = []
    for value in ("true", "false"):
        real.stand_in.project.provisioning.service_metadata = {"enableVnextExperience": value}
        version = await real.foundry.get_version("hello", "1")
        found.append(version.metadata if version else {})
    assert found == [{"slipway.tag": "v1", "enableVnextExperience": value} for value in ("true", "false")]


async def test_a_version_may_be_created_a_second_after_its_answer(real: StandInUnderTest) -> None:
    real.stand_in.project.provisioning.date_behind_s = 1
    created = await real.foundry.create_version("hello", DEFINITION, {})
    assert created.read_at is not None
    assert (created.created_at - created.read_at).total_seconds() == 1


async def test_a_version_in_the_shape_of_april_2026_is_read_as_a_newer_one(real: StandInUnderTest) -> None:
    definition = {
        "kind": "hosted",
        "image": IMAGE,
        "container_protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
        "cpu": "1",
        "memory": "2Gi",
        "environment_variables": {"MODE": "fast", "KEY": SECRET},
        "session_configuration": {"idle_timeout_seconds": 900},
    }
    real.stand_in.project.create("hello", definition, {}, None)
    first = await real.foundry.get_definition("hello", "1")
    second = await real.foundry.create_version("hello", DEFINITION, {})
    assert first is not None
    assert (first.version.image, first.definition.protocols) == (IMAGE, (("responses", "2.0.0"),))
    assert (second.number, second.parts) == ("2", first.version.parts)


async def test_a_new_agent_follows_its_newest_version_until_its_traffic_is_moved(tested: FoundryUnderTest) -> None:
    await tested.foundry.create_version("hello", DEFINITION, {})
    agent = await tested.foundry.get_agent("hello")
    assert agent is not None
    assert agent.routing.follows_latest
    assert agent.live == "1"
    assert agent.enabled
    assert await tested.foundry.set_routing("hello", Routing.to("1")) == Routing.to("1")
    await tested.foundry.create_version("hello", with_image("b"), {})
    agent = await tested.foundry.get_agent("hello")
    assert agent is not None
    assert (agent.live, agent.latest.number if agent.latest else None) == ("1", "2")


async def test_versions_are_read_from_all_pages_oldest_first(tested: FoundryUnderTest) -> None:
    for number in range(130):
        await tested.foundry.create_version("hello", replace(DEFINITION, environment={"N": str(number)}), {})
    found = await tested.foundry.list_versions("hello")
    assert [version.number for version in found] == [str(number) for number in range(1, 131)]


async def test_a_version_with_sessions_is_not_deleted_and_a_missing_one_is_gone(
    tested: FoundryUnderTest,
) -> None:
    for letter in "ab":
        await tested.foundry.create_version("hello", with_image(letter), {})
    tested.open_session("hello", "1")
    assert await tested.foundry.delete_version("hello", "1") is DeleteResult.SESSIONS_ACTIVE
    assert await tested.foundry.delete_version("hello", "2") is DeleteResult.DELETED
    assert await tested.foundry.delete_version("hello", "2") is DeleteResult.GONE


async def test_a_toolbox_gets_a_new_version_only_if_its_tools_change(tested: FoundryUnderTest) -> None:
    first = await tested.foundry.ensure_toolbox("hello-tools", TOOLS)
    again = await tested.foundry.ensure_toolbox("hello-tools", TOOLS)
    changed = await tested.foundry.ensure_toolbox("hello-tools", TOOLS[:1])
    assert (first.version, again, changed.version) == ("1", first, "2")
    assert "/toolboxes/hello-tools/versions/1/mcp" in first.endpoint


async def test_toolbox_versions_are_listed_and_deleted(tested: FoundryUnderTest) -> None:
    assert list(await tested.foundry.list_toolbox_versions("hello-tools")) == []
    for tools in (TOOLS, TOOLS[:1]):
        await tested.foundry.ensure_toolbox("hello-tools", tools)
    found = await tested.foundry.list_toolbox_versions("hello-tools")
    assert {box.version: (box.is_ours, box.default) for box in found} == {"1": (True, False), "2": (True, True)}
    assert await tested.foundry.delete_toolbox_version("hello-tools", "1") is DeleteResult.DELETED
    assert await tested.foundry.delete_toolbox_version("hello-tools", "1") is DeleteResult.GONE
    assert [box.version for box in await tested.foundry.list_toolbox_versions("hello-tools")] == ["2"]


async def test_the_version_limit_of_the_service_has_its_own_code(real: StandInUnderTest) -> None:
    real.stand_in.project.provisioning.limit = 1
    await real.foundry.create_version("hello", DEFINITION, {})
    with pytest.raises(PermanentError) as refused:
        await real.foundry.create_version("hello", with_image("b"), {})
    assert refused.value.code == TOO_MANY_VERSIONS


async def test_a_rejected_request_raises_a_permanent_error(tested: FoundryUnderTest) -> None:
    with pytest.raises(PermanentError) as refused:
        await tested.foundry.create_version("hello", replace(DEFINITION, cpu="3"), {})
    assert refused.value.status == 400
    with pytest.raises(PermanentError):
        await tested.foundry.set_routing("nobody", Routing.to("1"))


async def test_the_create_request_matches_the_wire_contract(real: StandInUnderTest) -> None:
    await real.foundry.create_version("hello", DEFINITION, {"slipway.tag": "v1"})
    (request,) = real.stand_in.requests
    assert (request["method"], request["path"]) == ("POST", "/api/projects/demo/agents/hello/versions?api-version=v1")
    assert request["body"] == {
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


async def test_moving_traffic_changes_only_the_selector(real: StandInUnderTest) -> None:
    await real.foundry.create_version("hello", DEFINITION, {})
    before = {"protocol_configuration": {"responses": {}}, "authorization_schemes": []}
    real.stand_in.project.agents["hello"].endpoint |= before
    await real.foundry.set_routing("hello", Routing.to("1"))
    after = real.stand_in.project.agents["hello"].endpoint
    assert {key: value for key, value in after.items() if key != "version_selector"} == before


def error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"status": status, "body": {"error": {"code": code, "message": message}}}


def retry_after(seconds: str) -> dict[str, str]:
    return {"Retry-After": seconds}


FAULTS: list[Any] = [
    pytest.param({"status": 429, "headers": retry_after("7")}, TransientError, False, 7.0, id="429 with Retry-After"),
    pytest.param({"status": 429}, TransientError, False, None, id="429 without"),
    pytest.param({"status": 500}, TransientError, True, None, id="500"),
    pytest.param({"status": 502}, TransientError, True, None, id="502"),
    pytest.param({"status": 503, "headers": retry_after("1")}, TransientError, True, 1.0, id="503 with Retry-After"),
    pytest.param({"drop": True}, TransientError, True, None, id="a closed connection"),
    pytest.param({"delay_s": 3, "status": 200}, TransientError, True, None, id="a late answer"),
    pytest.param({"status": 200, "body": "<html>oops</html>"}, TransientError, True, None, id="HTML"),
    pytest.param({"status": 200, "body": '{"name": "hel'}, TransientError, True, None, id="half an answer"),
    pytest.param({"status": 200, "body": "{}"}, TransientError, True, None, id="an answer without a version"),
    pytest.param({"status": 401}, PermanentError, None, None, id="401"),
    pytest.param({"status": 403}, PermanentError, None, None, id="403"),
    pytest.param({"status": 409}, PermanentError, None, None, id="409"),
    pytest.param({"status": 423}, TransientError, False, None, id="423"),
    pytest.param({"status": 425}, TransientError, False, None, id="425"),
    *(
        pytest.param(error(409, "conflict", words), kind, False, None, id=words)
        for words, kind in (
            ("The resource already exists or was modified concurrently. Please retry.", TransientError),
            ("Another operation is in progress. Try again later.", TransientError),
            ("The agent exists. Do not retry.", PermanentError),
            ("The version has active sessions. End them and try again.", PermanentError),
        )
    ),
]


@pytest.mark.parametrize(("fault", "expected", "unclear", "pause"), FAULTS)
async def test_a_create_request_is_sent_once_whatever_the_answer(
    real: StandInUnderTest, fault: dict[str, Any], expected: type[Exception], unclear: bool | None, pause: float | None
) -> None:
    await plan_faults(real.url, {"path": "/versions", "method": "POST", **fault})
    with pytest.raises(expected) as failed:
        await real.foundry.create_version("hello", DEFINITION, {})
    assert len(real.stand_in.requests) == 1
    if isinstance(failed.value, TransientError):
        assert failed.value.unclear is unclear
        assert failed.value.retry_after == pause


PREVIEW = "Hosted agents is in preview. Include the 'Foundry-Features: HostedAgents=V1Preview' header in your request."


@pytest.mark.parametrize(
    ("code", "words", "names_preview"),
    [("preview_feature_required", PREVIEW, True), ("Forbidden", PREVIEW, True), ("Forbidden", "no role", False)],
)
async def test_a_403_that_names_a_preview_feature_keeps_the_words(
    real: StandInUnderTest, code: str, words: str, names_preview: bool
) -> None:
    await plan_faults(real.url, {"path": "/agents/", **error(403, code, words)})
    with pytest.raises(PermanentError) as created:
        await real.foundry.create_version("hello", DEFINITION, {})
    with pytest.raises(PermanentError) as routed:
        await real.foundry.set_routing("hello", Routing.to("1"))
    for refused in (created.value, routed.value):
        assert (refused.code, refused.names_preview) == (code, names_preview)
        refused.open_words()
        assert words in refused.message


TENANT = "Tenant provided in token does not match resource token"
ISSUER = "The access token is from the wrong issuer 'https://sts.windows.net/x/'. It must match the tenant 'y'."


@pytest.mark.parametrize(
    ("status", "code", "words", "other_tenant"),
    [
        (400, TENANT, "Token tenant x does not match resource tenant.", True),
        (401, "InvalidAuthenticationTokenTenant", "no", True),
        (401, "InvalidAuthenticationTokenTenant", ISSUER, True),
        (401, "Unauthorized", "Access denied due to invalid subscription key.", False),
        (404, "not_found", "Token tenant x does not match resource tenant.", False),
    ],
)
async def test_a_project_of_another_tenant_is_known(
    real: StandInUnderTest, status: int, code: str, words: str, other_tenant: bool
) -> None:
    await plan_faults(real.url, {"path": "/agents/", **error(status, code, words)})
    with pytest.raises(PermanentError) as created:
        await real.foundry.create_version("hello", DEFINITION, {})
    assert (created.value.status, created.value.other_tenant) == (status, other_tenant)


async def test_a_refused_deletion_that_asks_to_retry_is_transient(real: StandInUnderTest) -> None:
    await plan_faults(
        real.url, {"path": "/versions/1", **error(409, "conflict", "Modified concurrently. Please retry.")}
    )
    with pytest.raises(TransientError) as failed:
        await real.foundry.delete_version("hello", "1")
    assert (failed.value.conflict, failed.value.unclear) == (True, False)


async def test_an_error_keeps_the_id_of_the_request(real: StandInUnderTest) -> None:
    found = "c2a5a969a02572ead2f4bc3a59495aca"
    for headers in ({"X-Request-ID": found}, {"apim-request-id": found}):
        await plan_faults(real.url, {"path": "/agents/", "headers": headers, **error(400, "bad_request", "no")})
        with pytest.raises(PermanentError, match=found):
            await real.foundry.get_agent("hello")
    headers = {"X-Request-ID": "not an id", "apim-request-id": found}
    await plan_faults(real.url, {"path": "/agents/", "headers": headers, "status": 400})
    with pytest.raises(PermanentError, match=found) as refused:
        await real.foundry.get_agent("hello")
    assert "not an id" not in str(refused.value)


async def test_the_id_of_a_request_is_shown_once_also_where_words_are_left_out(real: StandInUnderTest) -> None:
    with pytest.raises(PermanentError) as refused:
        await real.foundry.create_version("hello", replace(DEFINITION, cpu="3"), {})
    with pytest.raises(PermanentError) as closed:
        await real.foundry.set_routing("nobody", Routing.to("1"))
    found = await real.foundry.open_session("nobody", "1", 2.0)
    assert isinstance(found, Answer)
    assert "Request ID" not in open_words(found).message
    for failed in (refused.value, closed.value):
        assert len(re.findall(r"(?i)request id", str(failed))) == 1
    closed.value.open_words()
    assert len(re.findall(r"(?i)request id", str(closed.value))) == 1


async def test_a_read_is_retried_and_then_raises_a_transient_error(real: StandInUnderTest) -> None:
    await plan_faults(real.url, {"path": "/agents/hello", "status": 503})
    with pytest.raises(TransientError) as failed:
        await real.foundry.get_agent("hello")
    assert not failed.value.unclear
    assert len(real.stand_in.requests) == 4


async def test_a_service_that_is_down_raises_a_transient_error_that_is_not_unclear(real: StandInUnderTest) -> None:
    await real.stand_in.stop()
    with pytest.raises(TransientError) as failed:
        await real.foundry.create_version("hello", DEFINITION, {})
    assert not failed.value.unclear


ESCAPED_SECRET = 'canary "5b1c" <&> \u00e9'
"""A secret that JSON, HTML and URLs encode differently."""


@pytest.mark.parametrize("secret", [SECRET, ESCAPED_SECRET])
async def test_a_secret_that_the_service_repeats_is_redacted(real: StandInUnderTest, secret: str) -> None:
    encodings = f"KEY={secret} {json.dumps(secret)} {html.escape(secret)} {quote(secret)} is not allowed"
    body = {"error": {"code": "invalid_request", "message": encodings}}
    await plan_faults(real.url, {"path": "/versions", "status": 400, "body": body})
    with pytest.raises(PermanentError) as refused:
        await real.foundry.create_version("hello", replace(DEFINITION, environment={"KEY": SecretValue(secret)}), {})
    text = "".join(traceback.format_exception(refused.value))
    assert not [part for part in (secret, "canary", "5b1c") if part in text]
    assert "KEY=***" in text


async def test_the_traceback_of_a_create_request_does_not_show_its_body(real: StandInUnderTest) -> None:
    await plan_faults(real.url, {"path": "/versions", "status": 500, "body": f"<p>{SECRET}</p>"})
    with pytest.raises(TransientError) as failed:
        await real.foundry.create_version("hello", DEFINITION, {})
    assert SECRET not in "".join(traceback.format_exception(failed.value))
    assert failed.value.__context__ is None


NOT_ABOUT_THE_AGENT: list[Any] = [
    pytest.param({"error": {"code": "ResourceNotFound", "message": "the project does not exist"}}, id="the project"),
    pytest.param("<html>404</html>", id="a proxy's page"),
]


@pytest.mark.parametrize("body", NOT_ABOUT_THE_AGENT)
async def test_a_404_that_is_not_about_the_agent_raises_a_permanent_error(real: StandInUnderTest, body: Any) -> None:
    await real.foundry.create_version("hello", DEFINITION, {})
    await plan_faults(real.url, {"path": "/agents/", "status": 404, "body": body})
    with pytest.raises(PermanentError):
        await real.foundry.get_agent("hello")
    with pytest.raises(PermanentError):
        await real.foundry.get_version("hello", "1")
    with pytest.raises(PermanentError):
        await real.foundry.delete_version("hello", "1")


async def test_a_list_in_place_of_an_object_raises_a_transient_error(real: StandInUnderTest) -> None:
    await plan_faults(real.url, {"path": "/agents/", "status": 200, "body": []})
    with pytest.raises(TransientError):
        await real.foundry.get_agent("hello")
    with pytest.raises(TransientError) as failed:
        await real.foundry.create_version("hello", DEFINITION, {})
    assert failed.value.unclear


class NoTokenCredential(AsyncLocalCredential):
    """A credential that cannot get a token."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise ClientAuthenticationError("no identity here")


async def test_without_a_token_no_create_request_is_sent(real: StandInUnderTest) -> None:
    foundry = AzureFoundry(f"{real.url}/api/projects/demo", NoTokenCredential())
    with pytest.raises(TransientError) as failed:
        await foundry.create_version("hello", DEFINITION, {})
    await foundry.close()
    assert not failed.value.unclear
    assert not real.stand_in.requests


async def test_concurrent_first_calls_build_one_client(real: StandInUnderTest) -> None:
    foundry = AzureFoundry(f"{real.url}/api/projects/demo", AsyncLocalCredential())
    first, second = await asyncio.gather(foundry._client.get(), foundry._client.get())
    await foundry.close()
    assert first is second


async def test_a_list_costs_as_many_requests_as_it_has_pages(real: StandInUnderTest) -> None:
    real.stand_in.project.provisioning.dedupe = False
    for _ in range(PAGE_SIZE):
        await real.foundry.create_version("hello", DEFINITION, {})
    for versions, pages in ((PAGE_SIZE, 1), (PAGE_SIZE + 1, 2)):
        before = len(real.stand_in.requests)
        assert len(await real.foundry.list_versions("hello")) == versions
        assert len(real.stand_in.requests) - before == pages
        await real.foundry.create_version("hello", DEFINITION, {})


async def test_an_empty_page_ends_the_list_even_with_a_cursor(real: StandInUnderTest) -> None:
    version = {"version": "1", "created_at": 1, "status": "active", "definition": {}}
    first = {"data": [version], "last_id": "hello:1", "has_more": True}
    await plan_faults(
        real.url,
        {"path": "/versions", "status": 200, "body": first, "times": 1},
        {"path": "/versions", "status": 200, "body": first | {"data": []}},
    )
    assert [version.number for version in await real.foundry.list_versions("hello")] == ["1"]


async def test_tools_that_are_returned_with_defaults_need_no_new_toolbox_version(real: StandInUnderTest) -> None:
    first = await real.foundry.ensure_toolbox("hello-tools", TOOLS)
    for tool in real.stand_in.project.toolboxes["hello-tools"]["versions"][0]["tools"]:
        tool["require_approval"] = "never"
    assert await real.foundry.ensure_toolbox("hello-tools", TOOLS) == first


async def test_a_selector_of_latest_follows_the_newest_version(real: StandInUnderTest) -> None:
    await real.foundry.create_version("hello", DEFINITION, {})
    rule = {"type": "FixedRatio", "agent_version": "@latest", "traffic_percentage": 100}
    selector = {"version_selector": {"version_selection_rules": [rule]}}
    real.stand_in.project.agents["hello"].endpoint |= selector
    await real.foundry.create_version("hello", with_image("b"), {})
    agent = await real.foundry.get_agent("hello")
    assert agent is not None
    assert agent.routing.follows_latest
    assert agent.live == "2"


async def test_a_list_whose_cursor_repeats_raises_a_permanent_error(real: StandInUnderTest) -> None:
    version = {"version": "1", "created_at": 1, "status": "active", "definition": {}}
    body = {"data": [version], "last_id": "hello:1", "has_more": True}
    await plan_faults(real.url, {"path": "/versions", "status": 200, "body": body})
    with pytest.raises(PermanentError, match="PAGING_LOOP"):
        await real.foundry.list_versions("hello")
    with pytest.raises(PermanentError, match="PAGING_LOOP"):
        await real.foundry.ensure_toolbox("hello", TOOLS)
