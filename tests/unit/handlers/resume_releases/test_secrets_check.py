"""The daily check of secrets: rotations whose event was lost, and expiries ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from core.agents_file.loader import load_agents
from core.model import SecretVersion
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, live_app, push_and_release, rotate

DAY = 86_400.0
TAGGED = b"""
agents:
  hello-agent:
    repository: agents/hello
    env_from_vault: true
    env: {WORD: one}
    release: {debounce: 0s}
"""
TAGS = {"agent": AGENT, "env": "API_KEY"}


class CountingVault(InMemoryKeyVault):
    """Counts the listings; ``error`` is what they raise."""

    def __init__(self) -> None:
        super().__init__()
        self.listings = list[str]()
        self.error: Exception | None = None

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        self.listings.append(name)
        if self.error:
            raise self.error
        return await super().list_secret_versions(name)


async def daily_run(app: App) -> list[str]:
    """The timer, a day later; returns what it recorded."""
    await app.clock.sleep(DAY)
    return await timer(app)


async def timer(app: App) -> list[str]:
    before = len(app.journal.lines)
    await resume_releases(app.agents, app.gateways)
    return [str(line["reason"]) for line in app.journal.lines[before:]]


async def key(app: App, variable: str = "KEY") -> str:
    return app.foundry.environment(AGENT, await app.live() or "")[variable]


async def tagged_app() -> App:
    app = App(clock=VirtualClock(), agents=load_agents(TAGGED))
    app.key_vault.put("api-key", "canary-1", tags=TAGS)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    return app


@in_virtual_time
async def test_a_rotation_whose_event_was_lost_is_found_once() -> None:
    app = await live_app()
    assert await timer(app) == [], "the versions are those of the live release"
    app.key_vault.put("hello-key", "canary-new")
    assert await timer(app) == [], "once a day"
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-new"
    assert await daily_run(app) == []


@in_virtual_time
async def test_a_rotation_that_was_answered_is_not_found() -> None:
    app = await live_app()
    await rotate(app, "canary-new")
    assert await app.released() == "LIVE"
    assert await daily_run(app) == []


@in_virtual_time
async def test_a_rotation_that_cannot_be_released_is_found_once() -> None:
    app = await tagged_app()
    app.key_vault.put("api-key", "canary-2", tags=TAGS)
    app.key_vault.put("second-key", "canary-other", tags=TAGS)
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "ENV_AMBIGUOUS"
    for _ in range(3):
        assert await daily_run(app) == []
    assert await key(app, "API_KEY") == "canary-1"


@in_virtual_time
async def test_two_secrets_for_one_variable_one_of_them_disabled() -> None:
    app = await tagged_app()
    app.key_vault.put("second-key", "canary-off", tags=TAGS, enabled=False)
    for letter in "bc":
        assert await daily_run(app) == []
        assert await push_and_release(app, f"v{letter}", letter) == "LIVE"
        assert await key(app, "API_KEY") == "canary-1"
    app.key_vault.versions["api-key"][-1].enabled = False
    app.key_vault.versions["second-key"][-1].enabled = True
    assert await push_and_release(app, "v4", "d") == "LIVE"
    assert await key(app, "API_KEY") == "canary-off"
    for _ in range(2):
        assert await daily_run(app) == []


@in_virtual_time
async def test_an_event_that_failed_is_not_a_lost_event() -> None:
    app = await live_app()
    app.key_vault.put("hello-key", "canary-off", enabled=False)
    assert await daily_run(app) == []
    assert await push_and_release(app, "v2", "b") == "SECRET_DISABLED"
    assert await daily_run(app) == []


@in_virtual_time
async def test_a_push_goes_on_once_its_secret_can_be_used_again() -> None:
    app = await live_app()
    before = app.key_vault.versions.pop("hello-key")
    assert await push_and_release(app, "v2", "b") == "SECRET_MISSING"
    assert await daily_run(app) == []
    app.key_vault.versions["hello-key"] = before
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    assert await daily_run(app) == []


@in_virtual_time
async def test_a_secret_loses_its_tags_is_deleted_and_comes_back() -> None:
    app = await tagged_app()
    app.key_vault.put("api-key", "canary-2")
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "LIVE"
    assert await key(app, "API_KEY") == "canary-2"
    gone = app.key_vault.versions.pop("api-key")
    await app.clock.sleep(60)
    assert await push_and_release(app, "v2", "b") == "SECRET_MISSING"
    assert await key(app, "API_KEY") == "canary-2", "what serves goes on"
    app.key_vault.versions["api-key"] = gone
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "LIVE"
    assert await app.live() == "3"
    assert await key(app, "API_KEY") == "canary-2"
    assert "VARIABLE_REMOVED" not in app.journal.reasons()


@in_virtual_time
async def test_a_lagging_version_is_found_once_the_vault_has_it() -> None:
    app = await live_app()
    app.key_vault.hidden["hello-key"] = 1
    await rotate(app, "canary-new")
    versions = app.key_vault.versions["hello-key"]
    app.key_vault.versions["hello-key"] = versions[:1]
    app.key_vault.hidden.clear()
    await app.clock.sleep(400)
    assert await app.released() == "SECRET_LAGS"
    app.key_vault.versions["hello-key"] = versions
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "LIVE"
    assert await key(app) == "canary-new"


@pytest.mark.parametrize("policy", ["notify", "ignore"])
@in_virtual_time
async def test_agents_that_rotations_do_not_release_are_left_alone(policy: str) -> None:
    app = await live_app()
    spec = app.agents.agents[AGENT]
    changed = spec.model_copy(update={"release": spec.release.model_copy(update={"on_secret_change": policy})})
    app.agents = app.agents.model_copy(update={"agents": {AGENT: changed}})
    app.key_vault.put("hello-key", "canary-new")
    assert await daily_run(app) == []


@in_virtual_time
async def test_each_secret_is_listed_once_for_200_agents() -> None:
    app = await live_app(vault := CountingVault())
    spec = app.agents.agents[AGENT]
    app.agents = app.agents.model_copy(
        update={
            "agents": {f"agent-{number}": spec.model_copy(update={"name": f"agent-{number}"}) for number in range(200)}
        }
    )
    await timer(app)
    assert vault.listings == ["hello-key"]


@in_virtual_time
async def test_without_the_right_to_list_the_newest_version_is_read() -> None:
    app = await live_app(vault := CountingVault())
    vault.error = PermanentError("Key Vault", "FORBIDDEN", "list", status=403)
    vault.put("hello-key", "canary-new")
    assert await daily_run(app) == ["MISSED_ROTATION_FOUND"]
    assert await app.released() == "LIVE"
    vault.forbidden = True
    assert await daily_run(app) == ["ROTATION_CHECK_FAILED"]
    assert await timer(app) == [], "a refusal is asked again the next day"


@in_virtual_time
async def test_a_vault_that_does_not_answer_is_asked_by_the_next_run() -> None:
    app = await live_app(vault := CountingVault())
    vault.put("hello-key", "canary-new")
    vault.error = TransientError("Key Vault", "503", "list")
    assert await daily_run(app) == ["ROTATION_CHECK_FAILED"]
    vault.error = None
    assert await timer(app) == ["MISSED_ROTATION_FOUND"]


@in_virtual_time
async def test_an_expiry_is_recorded_once_30_and_once_7_days_ahead() -> None:
    app = await live_app()
    app.key_vault.put("hello-key", "canary-new", expires_on=app.clock.now() + timedelta(days=33))
    reported = dict[str, list[int]]()
    for day in range(1, 40):
        for reason in await daily_run(app):
            reported.setdefault(reason, []).append(day)
        if day == 1:
            assert await app.released() == "LIVE"
    assert reported == {"MISSED_ROTATION_FOUND": [1], "SECRET_EXPIRES_SOON": [3, 26]}
    lines = [line for line in app.journal.lines if line["reason"] == "SECRET_EXPIRES_SOON"]
    assert [line["secret"] for line in lines] == ["hello-key", "hello-key"]
    assert "expires in 29 days" in str(lines[0]["detail"])
    assert str(lines[0]["detail"]).endswith(f"used by {AGENT}")


@in_virtual_time
async def test_an_expiry_is_not_recorded_again_after_a_run_that_failed() -> None:
    app = await live_app(vault := CountingVault())
    vault.put("hello-key", "canary-new", expires_on=app.clock.now() + timedelta(days=5))
    assert "SECRET_EXPIRES_SOON" in await daily_run(app)
    assert await app.released() == "LIVE"
    vault.error = TransientError("Key Vault", "503", "list")
    assert await daily_run(app) == ["ROTATION_CHECK_FAILED"]
    vault.error, vault.forbidden = PermanentError("Key Vault", "FORBIDDEN", "list", status=403), True
    assert await timer(app) == ["ROTATION_CHECK_FAILED"]
    vault.error, vault.forbidden = None, False
    assert await daily_run(app) == []
