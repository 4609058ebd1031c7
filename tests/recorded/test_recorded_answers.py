"""Recorded answers of Azure, replayed through the real SDK clients and our gateways: what each becomes.

The recordings lie beside the checkout, in ``../shared/recorded``; without them these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from azure.keyvault.secrets.aio import SecretClient

from core.agents_file.spec import Probe
from core.evaluation import EvaluationRun, RunStatus, ServiceCriterion
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
from tests.recorded.exchanges import Json, exchange, exchanges, needs_recordings
from tests.support.local_clients import AsyncLocalCredential, client_options

pytestmark = needs_recordings

AGENT, WITHIN = "sanitized-hosted-agent-name", 5.0
IMAGE = "sanitizedregistry.azurecr.io/sanitized/sessions-agent:latest"
DEFINITION = Definition(IMAGE, "0.5", "1Gi", (("responses", "1.0.0"),), {})
HOP_BY_HOP = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection"})


class Recording(StandIn):
    """Answers the requests in turn with recorded answers, and goes on with the last one."""

    name = "recording"

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Json] = []

    def play(self, *numbers: str) -> None:
        """Take the answers of these exchanges."""
        self.answers = [exchange(number).response for number in numbers]

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
    """The gateways to the recording."""

    recording: Recording
    foundry: LocalFoundry
    registry: LocalRegistry
    vault: AzureKeyVault

    def methods(self) -> list[str]:
        """The methods of the requests so far."""
        return [request["method"] for request in self.recording.requests]


@pytest.fixture
async def replay(tmp_path: Path) -> AsyncIterator[Replay]:
    authority, recording = Authority(tmp_path), Recording()
    url = await recording.start(tls=authority.server())
    vault = AzureKeyVault(url, AsyncLocalCredential())
    options = {"verify_challenge_resource": False, **client_options(authority.ca)}
    vault._client.instance = SecretClient(url, AsyncLocalCredential(), **options)
    foundry, registry = LocalFoundry(f"{url}/api/projects/p", authority.ca), LocalRegistry(url, authority.ca)
    yield Replay(recording, foundry, registry, vault)
    for gateway in (foundry, registry, vault):
        await gateway.close()
    await recording.stop()


Check = Callable[[Replay], Awaitable[None]]
CHECKS: list[tuple[tuple[str, ...], Check]] = []
"""The numbers of the exchanges whose answers are replayed, in this order, and what becomes of them."""


def replays(*numbers: str) -> Callable[[Check], Check]:
    """Enter a check in the table."""

    def enter(check: Check) -> Check:
        CHECKS.append((numbers, check))
        return check

    return enter


def create(replay: Replay) -> Awaitable[Version]:
    return replay.foundry.create_version(AGENT, DEFINITION, {})


def get(replay: Replay) -> Awaitable[Version | None]:
    return replay.foundry.get_version(AGENT, "31")


Read = Callable[[Replay], Awaitable[Version | None]]
VERSIONS: tuple[tuple[str, Read, str, Status, str], ...] = (
    ("01", create, "31", Status.CREATING, IMAGE),
    ("02", get, "31", Status.CREATING, IMAGE),
    ("03", get, "31", Status.ACTIVE, IMAGE),
    ("10", create, "12", Status.ACTIVE, ""),
    ("11", create, "12", Status.ACTIVE, ""),
    ("13", create, "2", Status.ACTIVE, ""),
    ("18", create, "1", Status.ACTIVE, "Sanitized"),
)


def version_check(call: Read, number: str, status: Status, image: str) -> Check:
    async def a_version(replay: Replay) -> None:
        version = await call(replay)
        assert version is not None
        assert (version.number, version.status, version.image, version.failure) == (number, status, image, None)
        assert version.is_release
        assert version.created_at > datetime(2026, 4, 1, tzinfo=UTC)

    return a_version


CHECKS += [((name,), version_check(call, number, status, image)) for name, call, number, status, image in VERSIONS]


@replays("18")
async def a_version_that_was_created_after_its_answer(replay: Replay) -> None:
    version = await create(replay)
    assert version.variables == {"AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME"}
    assert version.read_at == datetime(2026, 4, 17, 20, 13, 1, tzinfo=UTC)
    assert version.created_at == datetime(2026, 4, 17, 20, 13, 2, tzinfo=UTC)


@replays("04")
async def an_unpinned_question_is_answered_by_the_pinned_version_and_opens_a_session(replay: Replay) -> None:
    answer = await replay.foundry.ask(AGENT, Probe(ask="Good morning!", expect="x"), None, WITHIN)
    assert (answer.status, answer.text, answer.version) == (200, "Echo: Good morning!", "21")
    assert (answer.origin, answer.response_status) == ("agent", "completed")
    assert answer.session == "3952e4b24044bb453f25162e8edc7b29b790632f452fcdbe158e62de06542ca"
    assert judge_answer(Probe(ask="Good morning!", expect="^Echo"), answer, "21").verdict is Verdict.PASSED
    assert judge_answer(Probe(ask="Good morning!", expect="^Echo"), answer, "31").verdict is Verdict.NOT_YET


@replays("05")
async def a_list_ends_where_the_service_has_no_more(replay: Replay) -> None:
    versions = await replay.foundry.list_versions(AGENT)
    numbers = [int(version.number) for version in versions]
    assert numbers == sorted(numbers)
    assert (numbers[-1], len(numbers)) == (21, len(set(numbers)))
    assert all(version.status is Status.ACTIVE for version in versions)
    assert replay.methods() == ["GET"]


@replays("06", "08")
async def a_session_is_opened_and_ended(replay: Replay) -> None:
    session = await replay.foundry.open_session(AGENT, "21", WITHIN)
    assert session == "9cfbf0b166bd3cc600CpdH2kCbUF21dlYaDKp3zbQ35OHWdtLG"
    await replay.foundry.end_session(AGENT, session)
    assert replay.methods() == ["POST", "DELETE"]


@replays("07", "19")
async def the_routing_after_a_patch(replay: Replay) -> None:
    assert await replay.foundry.set_routing(AGENT, Routing.to("21")) == Routing.to("21")
    partial = await replay.foundry.set_routing(AGENT, Routing.to("1"))
    assert [(rule.version, rule.percent) for rule in partial.rules] == [("1", 74)]
    assert partial.pinned is None


@replays("12")
async def an_agent_that_was_never_pinned_follows_its_latest_version(replay: Replay) -> None:
    agent = await replay.foundry.get_agent("cs-e2e-tests-client2")
    assert agent is not None
    assert (agent.routing.follows_latest, agent.live, agent.enabled) == (True, "1", True)
    assert agent.identity == "00054b9b-ffb6-4c60-b5f7-e008ca711fff"


@replays("14")
async def what_is_not_found_is_none(replay: Replay) -> None:
    assert await replay.foundry.get_agent(AGENT) is None
    assert await replay.foundry.get_version(AGENT, "1") is None
    assert await replay.foundry.delete_version(AGENT, "1") is DeleteResult.GONE


@replays("15")
async def a_toolbox_that_is_not_found_has_no_versions(replay: Replay) -> None:
    assert list(await replay.foundry.list_toolbox_versions("toolbox_draft_hosted_agent")) == []
    deleted = await replay.foundry.delete_toolbox_version("toolbox_draft_hosted_agent", "1")
    assert deleted is DeleteResult.GONE


@replays("09", "16")
async def a_refused_payload_keeps_the_words_and_the_request_id(replay: Replay) -> None:
    with pytest.raises(PermanentError) as refused:
        await replay.foundry.ensure_toolbox("toolbox_draft_hosted_agent", [{"type": "reminder_preview"}])
    assert (refused.value.code, refused.value.status) == ("invalid_payload", 400)
    assert "is not enabled for this subscription" not in str(refused.value)
    refused.value.open_words()
    assert "is not enabled for this subscription" in refused.value.message
    assert refused.value.message.count("407869c5c0776075f7cfd649bab70b78") == 1


@replays("17")
async def a_version_is_deleted(replay: Replay) -> None:
    assert await replay.foundry.delete_version("java-hosted-agent-sample-sessions-test", "1") is DeleteResult.DELETED


@replays("09", "20")
async def a_toolbox_version_is_created(replay: Replay) -> None:
    toolbox = await replay.foundry.ensure_toolbox("toolbox_with_mcp_tool", [{"type": "mcp"}])
    assert (toolbox.name, toolbox.version) == ("toolbox_with_mcp_tool", "1")


@replays("21", "09")
async def a_toolbox_without_versions_in_its_list(replay: Replay) -> None:
    assert list(await replay.foundry.list_toolbox_versions("toolbox_with_mcp_tool")) == []


@replays("30", "31")
async def a_disabled_secret_after_the_challenge(replay: Replay) -> None:
    assert await replay.vault.get_secret("search-key", None) is SecretUnavailable.DISABLED
    assert replay.methods() == ["GET", "GET"]


@replays("40", "41")
async def the_tags_of_a_repository_after_the_challenge(replay: Replay) -> None:
    digest = "sha256:6e8b6f026e0b9c419ea0fd02d3905dd0952ad1feea67543f525c73a0a790fefb"
    assert list(await replay.registry.list_tags("repo605d41ad")) == [
        RegistryTag("tag605d41ad1", digest, datetime(2023, 2, 19, 0, 34, 1, 909293, tzinfo=UTC)),
        RegistryTag("tag605d41ad0", digest, datetime(2023, 2, 19, 0, 33, 58, 916539, tzinfo=UTC)),
    ]


EVAL, RUN = "eval_fdda3d1f8c09428faab0a43073de72f7", "evalrun_dc8e945b63614fa485f3f2351b54e3d4"


JUDGE = "sanitized-gpt-image"
CRITERIA = [ServiceCriterion(name, name, JUDGE) for name in ("builtin.violence", "builtin.coherence")]
CRITERIA.insert(1, ServiceCriterion("builtin.f1_score", "builtin.f1_score"))


@replays("50")
async def an_evaluation_by_evaluators_is_created(replay: Replay) -> None:
    assert await replay.foundry.create_evaluation("hello", "2", CRITERIA) == EVAL
    recorded, sent = exchange("50").request["body"], replay.recording.requests[-1]["body"]
    assert sent.keys() == recorded.keys()
    recorded["testing_criteria"][1]["name"] = "f1_score"
    assert sent["testing_criteria"] == recorded["testing_criteria"]


@replays("51")
async def an_evaluation_by_graders_is_created(replay: Replay) -> None:
    criterion = ServiceCriterion("string_check", "string_check", operation="eq")
    assert await replay.foundry.create_evaluation("hello", "2", [criterion]) == "eval_19245b9f45084c2e89671c457337f2f3"
    recorded, (sent,) = exchange("51").request["body"], replay.recording.requests[-1]["body"]["testing_criteria"]
    assert sent.keys() == recorded["testing_criteria"][2].keys()


@replays("52", "53", "54", "55")
async def a_run_is_in_progress_until_it_is_completed_with_scores(replay: Replay) -> None:
    recorded = exchange("52").request["body"]
    rows = [line["item"] for line in recorded["data_source"]["source"]["content"]]
    assert await replay.foundry.start_run(EVAL, recorded["name"], rows) == RUN
    assert replay.recording.requests[-1]["body"] == {key: recorded[key] for key in ("name", "data_source")}
    assert await replay.foundry.get_run(EVAL, RUN) == EvaluationRun(RUN, RunStatus.RUNNING)
    run = await replay.foundry.get_run(EVAL, RUN)
    assert run is not None
    assert (run.status, run.detail, run.report_url[:22]) == (RunStatus.COMPLETED, "", "https://ai.azure.com/n")
    verdicts = [(score.row, score.criterion, score.passed) for score in run.scores]
    expected = [("builtin.violence", True), ("builtin.f1", False), ("builtin.coherence", True)]
    assert verdicts == [(row, *verdict) for row in (0, 3) for verdict in expected]
    assert run.scores[1].score == 0.34782608695652173


@replays("54", "57")
async def the_scores_of_graders(replay: Replay) -> None:
    run = await replay.foundry.get_run(EVAL, RUN)
    assert run is not None
    assert [(score.criterion, score.score, score.passed) for score in run.scores] == [
        ("label_grader", 1, True),
        ("text_check_grader", 0.18756826382863573, False),
        ("string_check_grader", 1, True),
        ("score", 1, True),
    ]


@replays("58", "59", "57")
async def a_run_that_asks_the_agent_itself_is_read_as_others_are(replay: Replay) -> None:
    run = await replay.foundry.start_run("eval_0c222b50ca9c494badfed4b921c953b3", "a", [])
    found = await replay.foundry.get_run("eval_0c222b50ca9c494badfed4b921c953b3", run)
    assert found is not None
    assert (found.id, found.status) == (run, RunStatus.COMPLETED)


@replays("56")
async def an_evaluation_is_deleted_although_the_answer_denies_it(replay: Replay) -> None:
    await replay.foundry.delete_evaluation(EVAL)
    assert replay.methods() == ["DELETE"]


@pytest.mark.parametrize(
    ("numbers", "check"), CHECKS, ids=[f"{' '.join(numbers)} {check.__name__}" for numbers, check in CHECKS]
)
async def test_a_recorded_answer(replay: Replay, numbers: tuple[str, ...], check: Check) -> None:
    replay.recording.play(*numbers)
    await check(replay)


def test_every_recorded_answer_is_replayed() -> None:
    replayed = {number for numbers, _ in CHECKS for number in numbers}
    assert {exchange.number for exchange in exchanges()} == replayed
