"""Statuses on GitHub: one suite in memory and against the stand-in, and the errors of a GitHub that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.commit_status import CommitDeployment, CommitState, ShownStatus
from core.model import SecretValue
from handlers.gateways.commit_statuses import GitHub, GitHubApp
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.github import TOKEN_SECONDS, GitHubDeployments
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.github import InMemoryGitHub
from local import github as stand_in
from tests.support.local_clients import plan_faults

KEY = stand_in.new_private_key()
QUEUED, IN_PROGRESS, SUCCESS, FAILURE, INACTIVE = CommitState
RELEASE = CommitDeployment("contoso/support", "a" * 40, "support-agent@prod-eu", 3, f"sha256:{'b' * 64}")


def shown(*states: CommitState, active: bool = True) -> list[ShownStatus]:
    return [ShownStatus(state, f"LIVE: {state}", "https://logs.contoso.com/7", active) for state in states]


@dataclass
class Server:
    github: GitHub
    app: GitHubApp
    clock: ManualClock
    server: stand_in.GitHub

    async def ensure(self, *states: CommitState, release: CommitDeployment = RELEASE) -> list[CommitState]:
        return list(await self.github.ensure_statuses(self.app, release, shown(*states)))

    @property
    def paths(self) -> list[str]:
        return [f"{line['method']} {line['path'].partition('?')[0]}" for line in self.server.requests]

    def states(self, number: int = 0) -> list[str]:
        return [status["state"] for status in self.server.deployments["contoso/support"][number]["statuses"]]


@pytest.fixture
async def real() -> AsyncIterator[Server]:
    server, clock = stand_in.GitHub(), ManualClock()
    server.trust(KEY)
    url = await server.start()
    github = GitHubDeployments(clock)
    yield Server(github, GitHubApp("123456", SecretValue(KEY), url), clock, server)
    await github.close()
    await server.stop()


@pytest.fixture(params=["in-memory", "stand-in"])
def github(request: pytest.FixtureRequest, real: Server) -> Server:
    return real if request.param == "stand-in" else replace(real, github=InMemoryGitHub())


async def test_a_release_gets_each_status_once(github: Server) -> None:
    assert await github.ensure(QUEUED, IN_PROGRESS) == [QUEUED, IN_PROGRESS]
    assert await github.ensure(QUEUED, IN_PROGRESS) == []
    assert await github.ensure(IN_PROGRESS, SUCCESS) == [SUCCESS]
    assert await github.ensure(QUEUED) == []


async def test_nothing_is_shown_of_what_was_not_released(github: Server) -> None:
    assert await github.ensure(INACTIVE) == []
    assert await github.ensure(QUEUED) == [QUEUED]
    assert await github.ensure(INACTIVE) == [INACTIVE]


async def test_the_same_commit_released_again_has_a_deployment_of_its_own(github: Server) -> None:
    assert await github.ensure(SUCCESS) == [SUCCESS]
    assert await github.ensure(SUCCESS, release=replace(RELEASE, generation=4)) == [SUCCESS]
    assert await github.ensure(SUCCESS, release=replace(RELEASE, target="other-agent")) == [SUCCESS]


async def test_the_deployment_is_of_the_commit_and_waits_for_no_check(real: Server) -> None:
    await real.ensure(QUEUED, SUCCESS)
    created = next(line["body"] for line in real.server.requests if line["path"].endswith("/deployments"))
    assert created["ref"] == RELEASE.revision
    assert (created["auto_merge"], created["required_contexts"]) == (False, [])
    assert created["environment"] == "support-agent@prod-eu"
    assert created["payload"] == RELEASE.payload
    (deployment,) = real.server.deployments["contoso/support"]
    last = deployment["statuses"][-1]
    assert (last["state"], last["log_url"]) == ("success", "https://logs.contoso.com/7")
    assert last["description"] == "LIVE: success"


async def test_the_token_is_for_deployments_of_one_repository(real: Server) -> None:
    await real.ensure(QUEUED)
    asked = next(line["body"] for line in real.server.requests if line["path"].endswith("/access_tokens"))
    assert asked == {"repositories": ["support"], "permissions": {"deployments": "write"}}


async def test_a_success_deactivates_the_one_before(real: Server) -> None:
    await real.ensure(SUCCESS)
    await real.ensure(SUCCESS, release=replace(RELEASE, generation=4, revision="c" * 40))
    assert (real.states(0), real.states(1)) == (["success", "inactive"], ["success"])


async def test_a_late_success_deactivates_nothing(real: Server) -> None:
    await real.ensure(SUCCESS, release=replace(RELEASE, generation=4, revision="c" * 40))
    late = [*shown(SUCCESS, active=False), *shown(INACTIVE)]
    assert list(await real.github.ensure_statuses(real.app, RELEASE, late)) == [SUCCESS, INACTIVE]
    assert (real.states(0), real.states(1)) == (["success"], ["success", "inactive"])


async def test_a_token_is_used_until_it_expires(real: Server) -> None:
    await real.ensure(QUEUED)
    await real.ensure(IN_PROGRESS)
    assert sum("access_tokens" in path for path in real.paths) == 1
    real.clock.passed += TOKEN_SECONDS + 1
    await real.ensure(SUCCESS)
    assert sum("access_tokens" in path for path in real.paths) == 2


async def test_a_revoked_token_is_forgotten(real: Server) -> None:
    await real.ensure(QUEUED)
    real.server._tokens.clear()
    with pytest.raises(TransientError):
        await real.ensure(SUCCESS)
    assert await real.ensure(SUCCESS) == [SUCCESS]


async def test_a_lost_answer_makes_no_second_deployment(real: Server) -> None:
    await plan_faults(real.server.url, {"path": "/deployments$", "method": "POST", "cut": True, "times": 1})
    with pytest.raises(TransientError):
        await real.ensure(QUEUED)
    assert await real.ensure(QUEUED) == [QUEUED]
    assert len(real.server.deployments["contoso/support"]) == 1


async def test_a_payload_may_come_back_as_text(real: Server) -> None:
    await real.ensure(QUEUED)
    (deployment,) = real.server.deployments["contoso/support"]
    for payload in ("{", "", "[" * 5000):
        deployment["payload"] = payload
        assert await real.ensure(QUEUED, release=replace(RELEASE, generation=9)) in ([QUEUED], [])


@pytest.mark.parametrize(
    "fault",
    [
        *({"status": 500}, {"status": 502, "body": "<html>"}, {"status": 429}, {"status": 599}, {"drop": True}),
        *({"status": 200, "body": "{"}, {"status": 200, "body": "null"}, {"status": 200, "body": [{}]}),
        {"status": 200, "body": "[" * 100_000},
        {"status": 200, "body": [{"id": "x", "payload": RELEASE.payload}]},
        {"status": 403, "headers": {"Retry-After": "60"}},
    ],
    ids=str,
)
async def test_a_fault_is_worth_a_retry(real: Server, fault: dict[str, Any]) -> None:
    await plan_faults(real.server.url, {"path": "/deployments\\?", "method": "GET", **fault})
    with pytest.raises(TransientError) as raised:
        await real.ensure(QUEUED)
    assert raised.value.service == "GitHub"


@pytest.mark.parametrize("status", [403, 429])
async def test_a_rate_limit_says_until_when(real: Server, status: int) -> None:
    reset = str(int(real.clock.now().timestamp()) + 1800)
    limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    await plan_faults(real.server.url, {"path": "/statuses$", "status": status, "headers": limits})
    with pytest.raises(TransientError) as raised:
        await real.ensure(QUEUED)
    assert 1790 < (raised.value.retry_after or 0) <= 1800


@pytest.mark.parametrize("status", [403, 429])
async def test_a_secondary_rate_limit_without_a_time_is_waited_out(real: Server, status: int) -> None:
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. canary-5b1e"
    limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "1"}
    fault = {"path": "/deployments$", "status": status, "body": {"message": message}, "headers": limits}
    await plan_faults(real.server.url, fault)
    with pytest.raises(TransientError) as raised:
        await real.ensure(QUEUED)
    assert raised.value.retry_after == 60
    assert "canary" not in str(raised.value)


async def test_no_pause_is_longer_than_an_hour(real: Server) -> None:
    await plan_faults(real.server.url, {"path": "/statuses$", "status": 429, "headers": {"Retry-After": "9" * 9}})
    with pytest.raises(TransientError) as raised:
        await real.ensure(QUEUED)
    assert raised.value.retry_after == 3600


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 409, 410, 422])
async def test_a_refusal_stays_one_and_shows_no_words_of_others(real: Server, status: int) -> None:
    body = {"message": "canary-5b1e", "errors": [{"code": "custom", "message": "canary-5b1e"}]}
    headers = {"Location": "https://evil.example/"}
    await plan_faults(real.server.url, {"path": "/deployments$", "status": status, "body": body, "headers": headers})
    with pytest.raises(PermanentError) as raised:
        await real.ensure(QUEUED)
    assert str(raised.value) == f"GitHub: {status}: create a deployment of contoso/support@{'a' * 12}"


async def test_a_repository_without_the_app(real: Server) -> None:
    async with ClientSession() as session:
        await session.put(f"{real.server.url}/_local/github", json={"not_installed": ["contoso/support"]})
    with pytest.raises(PermanentError, match="404: find the App's installation on contoso/support"):
        await real.ensure(QUEUED)


async def test_an_app_without_the_right(real: Server) -> None:
    async with ClientSession() as session:
        await session.put(f"{real.server.url}/_local/github", json={"without_right": ["contoso/support"]})
    with pytest.raises(PermanentError, match="422: sign in as the App on contoso/support"):
        await real.ensure(QUEUED)


async def test_the_environment_of_an_agent_that_is_called_production(real: Server) -> None:
    target = replace(RELEASE, target="production")
    await real.ensure(SUCCESS, release=target)
    await real.ensure(SUCCESS, release=replace(target, generation=4))
    assert (real.states(0), real.states(1)) == (["success", "inactive"], ["success"])


async def test_a_commit_that_was_never_pushed(real: Server) -> None:
    real.server.switches.unknown_commits = [RELEASE.revision]
    with pytest.raises(PermanentError, match="422: create a deployment"):
        await real.ensure(QUEUED)


async def test_the_key_of_another_app(real: Server) -> None:
    other = replace(real.app, private_key=SecretValue(stand_in.new_private_key()))
    with pytest.raises(PermanentError, match="401: find the App's installation"):
        await real.github.ensure_statuses(other, RELEASE, shown(QUEUED))


async def test_a_key_in_one_line_is_one(real: Server) -> None:
    """The portal's field for a secret's value has one line."""
    for number, line_end in enumerate((" ", "\\n", "\r\n"), 1):
        in_one_line = replace(real.app, private_key=SecretValue(KEY.replace("\n", line_end)))
        release = replace(RELEASE, generation=number)
        assert list(await real.github.ensure_statuses(in_one_line, release, shown(QUEUED))) == [QUEUED]


PUBLIC = serialization.load_pem_private_key(KEY.encode(), None).public_key()
KEYS = {
    "empty": "",
    "made-up": "made-up-123",
    "cut": KEY[: len(KEY) // 2],
    "public": PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
    "of a curve": ec.generate_private_key(ec.SECP256R1())
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode(),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
async def test_a_key_that_is_not_one(real: Server, key: str) -> None:
    broken = replace(real.app, private_key=SecretValue(key))
    with pytest.raises(PermanentError, match="KEY_UNREADABLE") as raised:
        await real.github.ensure_statuses(broken, RELEASE, shown(QUEUED))
    assert str(raised.value) == "GitHub: KEY_UNREADABLE: sign as the App: its secret is not an RSA private key in PEM"
    assert not real.server.requests


async def test_no_request_shows_the_key_or_a_token(real: Server) -> None:
    await real.ensure(QUEUED, SUCCESS)
    token = next(iter(real.server._tokens))
    assert token not in str(list(real.server.requests))
    assert "PRIVATE KEY" not in str(list(real.server.requests))
