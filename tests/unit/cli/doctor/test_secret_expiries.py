"""``slipway doctor`` shows secrets that expire soon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cli.doctor import secret_expiries
from core.agents_file.loader import load_agents
from core.model import SecretVersion
from handlers.agent_states import AgentStates
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from tests.support.app import AGENT, App, push_and_release

YAML = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: Hello-Key}, PINNED: {secret: pinned-key, version: "00000000000000000000000000000001"}}
    env_from_vault: true
"""


class UnlistedVault(InMemoryKeyVault):
    """A vault in which this user may list nothing."""

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        raise PermanentError("Key Vault", "FORBIDDEN", "list", status=403)


async def checked(vault: InMemoryKeyVault, pinned: int, newest: int, tagged: int) -> list[tuple[str, str, str]]:
    """The checks of an app whose secrets expire after so many days."""
    now = App().clock.now()
    vault.put("pinned-key", "canary-1", expires_on=now + timedelta(days=pinned))
    vault.put("pinned-key", "canary-2")
    app = App(agents=load_agents(YAML), key_vault=vault)
    vault.put("hello-key", "canary-4", expires_on=now + timedelta(days=newest))
    tags = {"agent": AGENT, "env": "TAGGED"}
    vault.put("tagged-key", "canary-5", expires_on=now + timedelta(days=tagged), tags=tags)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    found = await secret_expiries.checks(app.agents, AgentStates(app.gateways.state_store), app.gateways)
    return [(check.name, check.status, check.detail) for check in found]


async def test_each_secret_in_use_that_expires_soon_is_named() -> None:
    found = await checked(InMemoryKeyVault(), pinned=20, newest=40, tagged=5)
    assert [(name, status) for name, status, _ in found] == [
        ("secret pinned-key", "failed"),
        ("secret tagged-key", "failed"),
    ]
    assert found[0][2].endswith("used by hello-agent")
    assert "expires in 19 days, on" in found[0][2] or "expires in 20 days, on" in found[0][2]


async def test_one_line_says_that_nothing_expires_soon() -> None:
    found = await checked(InMemoryKeyVault(), pinned=31, newest=31, tagged=31)
    assert found == [("expiry of secrets", "ok", "none of 3 within 30 days")]


async def test_a_user_who_may_not_list_secrets_knows_nothing() -> None:
    ((name, status, detail),) = await checked(UnlistedVault(), pinned=1, newest=1, tagged=1)
    assert (name, status) == ("expiry of secrets", "unknown")
    assert "Key Vault" in detail


async def test_agents_without_secrets_have_no_check() -> None:
    app = App(agents=load_agents(b"agents: {hello-agent: {repository: agents/hello}}"))
    assert await secret_expiries.checks(app.agents, AgentStates(app.gateways.state_store), app.gateways) == []
