"""Recorded answers of Azure, replayed through the real SDK clients and our gateways: what each becomes.

The recordings lie beside the checkout, in ``../shared/recorded``; without them these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.keyvault.secrets.aio import SecretClient

from core.agents_file.spec import Probe
from core.image_manifest import RegistryTag
from core.model import Definition, Routing, SecretUnavailable, Status, Version
from core.release.gates.answers import Verdict, judge_answer
from handlers.gateways.errors import PermanentError
from handlers.gateways.interfaces import DeleteResult
from handlers.gateways.key_vault import AzureKeyVault
from local.stand_in import StandIn
from local.tls import Authority
from tests.contract.test_foundry import LocalFoundry
from tests.contract.test_registry_gateway import LocalRegistry
from tests.support.local_clients import AsyncLocalCredential, client_options

FOLDER = Path(__file__).parents[3] / "shared" / "recorded"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"there are no recordings in {FOLDER}")

AGENT, WITHIN = "sanitized-hosted-agent-name", 5.0
IMAGE = "sanitizedregistry.azurecr.io/sanitized/sessions-agent:latest"
DEFINITION = Definition(IMAGE, "0.5", "1Gi", (("responses", "1.0.0"),), {})
HOP_BY_HOP = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection"})


class Recording(StandIn):
    """Answers the requests in turn with recorded answers, and goes on with the last one."""

    name = "recording"

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[dict[str, Any]] = []

    def play(self, *names: str) -> None:
        """Take the answers from these files."""
        for name in names:
            (path,) = FOLDER.glob(f"{name}_*.json")
            self.answers.append(json.loads(path.read_text())["response"])

    def routes(self) -> list[web.RouteDef]:
        """Return the token exchange of the registry, and one route for everything else."""
        return [web.post("/oauth2/{_:.*}", self._token), web.route("*", "/{_:.*}", self._answer)]

    async def _token(self, _: web.Request) -> web.Response:
        return web.json_response({"refresh_token": "refresh", "access_token": "access"})

    async def _answer(self, _: web.Request) -> web.Response:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        headers = {key: value for key, value in answer["headers"].items() if key.lower() not in HOP_BY_HOP}
        body = b"" if answer["body"] is None else json.dumps(answer["body"]).encode()
        return web.Response(status=answer["status"], headers=headers, body=body)


@dataclass
class Replay:
    """The gateways with clients for the recording."""

    recording: Recording
    foundry: LocalFoundry
    registry: LocalRegistry
    vault: AzureKeyVault
    sent: list[str] = field(default_factory=list)

    def methods(self) -> list[str]:
        """The methods of the requests so far."""
        return [request["method"] for request in self.recording.requests]


@pytest.fixture
async def replay(tmp_path: Path) -> AsyncIterator[Replay]:
    authority, recording = Authority(tmp_path), Recording()
    url = await recording.start(tls=authority.server())
    vault = AzureKeyVault(url, AsyncLocalCredential())
    options = {"verify_challenge_resource": False, **client_options(authority.ca)}
    vault._client = SecretClient(url, AsyncLocalCredential(), **options)
    foundry, registry = LocalFoundry(f"{url}/api/projects/p", authority.ca), LocalRegistry(url, authority.ca)
    yield Replay(recording, foundry, registry, vault)
    for gateway in (foundry, registry, vault):
        await gateway.close()
    await recording.stop()


def create(replay: Replay) -> Awaitable[Version]:
    return replay.foundry.create_version(AGENT, DEFINITION, {})


def get(replay: Replay) -> Awaitable[Version | None]:
    return replay.foundry.get_version(AGENT, "31")


VERSIONS: list[Any] = [
    pytest.param("01", create, "31", Status.CREATING, IMAGE, id="01 create: creating"),
    pytest.param("02", get, "31", Status.CREATING, IMAGE, id="02 get: creating"),
    pytest.param("03", get, "31", Status.ACTIVE, IMAGE, id="03 get: active"),
    pytest.param("10", create, "12", Status.ACTIVE, "", id="10 create: the latest version came back"),
    pytest.param("11", create, "12", Status.ACTIVE, "", id="11 create: the same version, other metadata"),
    pytest.param("13", create, "2", Status.ACTIVE, "", id="13 create: other metadata is another version"),
    pytest.param("18", create, "1", Status.ACTIVE, "Sanitized", id="18 create: active at once, image in its old place"),
]


@pytest.mark.parametrize(("name", "call", "number", "status", "image"), VERSIONS)
async def test_a_version(
    replay: Replay,
    name: str,
    call: Callable[[Replay], Awaitable[Version | None]],
    number: str,
    status: Status,
    image: str,
) -> None:
    replay.recording.play(name)
    version = await call(replay)
    assert version is not None
    assert (version.number, version.status, version.image, version.failure) == (number, status, image, None)
    assert version.is_release
    assert version.created_at > datetime(2026, 4, 1, tzinfo=UTC)
    if name == "18":
        assert version.variables == {"AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME"}
        assert version.read_at == datetime(2026, 4, 17, 20, 13, 1, tzinfo=UTC)


async def test_an_unpinned_question_is_answered_by_the_pinned_version_and_opens_a_session(replay: Replay) -> None:
    replay.recording.play("04")
    answer = await replay.foundry.ask(AGENT, Probe(ask="Good morning!", expect="x"), None, WITHIN)
    assert (answer.status, answer.text, answer.version) == (200, "Echo: Good morning!", "21")
    assert (answer.origin, answer.response_status) == ("agent", "completed")
    assert answer.session == "3952e4b24044bb453f25162e8edc7b29b790632f452fcdbe158e62de06542ca"
    assert judge_answer(Probe(ask="Good morning!", expect="^Echo"), answer, "21").verdict is Verdict.PASSED
    assert judge_answer(Probe(ask="Good morning!", expect="^Echo"), answer, "31").verdict is Verdict.NOT_YET


async def test_a_list_ends_at_the_empty_page_after_the_last(replay: Replay) -> None:
    replay.recording.play("05", "09")
    versions = await replay.foundry.list_versions(AGENT)
    numbers = [int(version.number) for version in versions]
    assert numbers == sorted(numbers)
    assert (numbers[-1], len(numbers)) == (21, len(set(numbers)))
    assert all(version.status is Status.ACTIVE for version in versions)
    assert replay.methods() == ["GET", "GET"]


async def test_a_session_is_opened_and_ended(replay: Replay) -> None:
    replay.recording.play("06", "08")
    session = await replay.foundry.open_session(AGENT, "21", WITHIN)
    assert session == "9cfbf0b166bd3cc600CpdH2kCbUF21dlYaDKp3zbQ35OHWdtLG"
    await replay.foundry.end_session(AGENT, session)
    assert replay.methods() == ["POST", "DELETE"]


async def test_the_routing_after_a_patch(replay: Replay) -> None:
    replay.recording.play("07", "19")
    assert await replay.foundry.set_routing(AGENT, Routing.to("21")) == Routing.to("21")
    partial = await replay.foundry.set_routing(AGENT, Routing.to("1"))
    assert [(rule.version, rule.percent) for rule in partial.rules] == [("1", 74)]
    assert partial.pinned is None


async def test_an_agent_that_was_never_pinned_follows_its_latest_version(replay: Replay) -> None:
    replay.recording.play("12")
    agent = await replay.foundry.get_agent("cs-e2e-tests-client2")
    assert agent is not None
    assert (agent.routing.follows_latest, agent.live, agent.enabled) == (True, "1", True)
    assert agent.identity == "00054b9b-ffb6-4c60-b5f7-e008ca711fff"


async def test_what_is_not_found_is_none(replay: Replay) -> None:
    replay.recording.play("14")
    assert await replay.foundry.get_agent(AGENT) is None
    assert await replay.foundry.get_version(AGENT, "1") is None
    assert await replay.foundry.delete_version(AGENT, "1") is DeleteResult.GONE


async def test_a_toolbox_that_is_not_found_has_no_versions(replay: Replay) -> None:
    replay.recording.play("15")
    assert list(await replay.foundry.list_toolbox_versions("toolbox_draft_hosted_agent")) == []
    deleted = await replay.foundry.delete_toolbox_version("toolbox_draft_hosted_agent", "1")
    assert deleted is DeleteResult.GONE


async def test_a_refused_payload_keeps_the_words_and_the_request_id(replay: Replay) -> None:
    replay.recording.play("09", "16")
    with pytest.raises(PermanentError) as refused:
        await replay.foundry.ensure_toolbox("toolbox_draft_hosted_agent", [{"type": "reminder_preview"}])
    assert (refused.value.code, refused.value.status) == ("invalid_payload", 400)
    assert "is not enabled for this subscription" not in str(refused.value)
    refused.value.open_words()
    assert "is not enabled for this subscription" in refused.value.message
    assert refused.value.message.count("407869c5c0776075f7cfd649bab70b78") == 1


async def test_a_version_is_deleted(replay: Replay) -> None:
    replay.recording.play("17")
    assert await replay.foundry.delete_version("java-hosted-agent-sample-sessions-test", "1") is DeleteResult.DELETED


async def test_a_toolbox_version_is_created_and_listed_without_a_default(replay: Replay) -> None:
    replay.recording.play("09", "20")
    toolbox = await replay.foundry.ensure_toolbox("toolbox_with_mcp_tool", [{"type": "mcp"}])
    assert (toolbox.name, toolbox.version) == ("toolbox_with_mcp_tool", "1")
    replay.recording.answers.clear()
    replay.recording.play("21", "09")
    assert list(await replay.foundry.list_toolbox_versions("toolbox_with_mcp_tool")) == []


async def test_a_disabled_secret_after_the_challenge(replay: Replay) -> None:
    replay.recording.play("30", "31")
    assert await replay.vault.get_secret("search-key", None) is SecretUnavailable.DISABLED
    assert replay.methods() == ["GET", "GET"]


async def test_the_tags_of_a_repository_after_the_challenge(replay: Replay) -> None:
    replay.recording.play("40", "41")
    digest = "sha256:6e8b6f026e0b9c419ea0fd02d3905dd0952ad1feea67543f525c73a0a790fefb"
    assert list(await replay.registry.list_tags("repo605d41ad")) == [
        RegistryTag("tag605d41ad1", digest, datetime(2023, 2, 19, 0, 34, 1, 909293, tzinfo=UTC)),
        RegistryTag("tag605d41ad0", digest, datetime(2023, 2, 19, 0, 33, 58, 916539, tzinfo=UTC)),
    ]


def test_every_recording_of_foundry_vault_and_registry_is_replayed() -> None:
    played = Path(__file__).read_text()
    numbers = {path.name[:2] for path in FOLDER.glob("[0-9][0-9]_*.json") if path.name < "50"}
    assert {number for number in numbers if f'"{number}"' not in played} == set()
