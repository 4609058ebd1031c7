"""Key Vault: one suite for the gateway in memory and the real SDK against the stand-in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.secrets.aio import SecretClient

from core.events import SecretChanged, parse_events
from core.model import Secret, SecretUnavailable, SecretValue
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.interfaces import KeyVault
from handlers.gateways.key_vault import AzureKeyVault
from local.tls import Authority
from local.vault import SecretVersion
from local.vault import Vault as StandIn
from tests.support.local_clients import AsyncLocalCredential, client_options, plan_faults

SECRET = "canary-91aa"
LATER = datetime(2030, 1, 1, tzinfo=UTC)


class LocalKeyVault(AzureKeyVault):
    """The gateway with a client for the stand-in."""

    def __init__(self, url: str, ca: Path) -> None:
        super().__init__(url, AsyncLocalCredential())
        self._client.instance = SecretClient(url, AsyncLocalCredential(), **client_options(ca))


@dataclass
class VaultUnderTest:
    gateway: KeyVault
    stand_in: StandIn | None = None
    ca: Path = Path()

    async def put(self, name: str, *, enabled: bool = True, tags: Mapping[str, str] | None = None, **dates: Any) -> str:
        if self.stand_in is None:
            assert isinstance(self.gateway, InMemoryKeyVault)
            return self.gateway.put(name, SECRET, enabled=enabled, tags=tags, **dates).version
        seconds: dict[str, Any] = {key: int(value.timestamp()) for key, value in dates.items()}
        version = SecretVersion(SECRET, enabled=enabled, tags=dict(tags or {}), **seconds)
        return (await self.stand_in.put(name, version)).version


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[VaultUnderTest]:
    authority, stand_in = Authority(tmp_path), StandIn()
    url = await stand_in.start(tls=authority.server())
    gateway = LocalKeyVault(url, authority.ca)
    yield VaultUnderTest(gateway, stand_in, authority.ca)
    await gateway.close()
    await stand_in.stop()


@pytest.fixture(params=["in-memory", "stand-in"])
async def vault(request: pytest.FixtureRequest, real: VaultUnderTest) -> VaultUnderTest:
    return VaultUnderTest(InMemoryKeyVault()) if request.param == "in-memory" else real


async def test_one_read_returns_the_value_and_the_version(vault: VaultUnderTest) -> None:
    await vault.put("search-key")
    version = await vault.put("search-key", expires_on=LATER, not_before=LATER)
    found = await vault.gateway.get_secret("search-key", None)
    assert found == Secret("search-key", version, SecretValue(SECRET), LATER, LATER)


async def test_the_vaults_of_the_stand_in_are_apart(real: VaultUnderTest) -> None:
    assert real.stand_in is not None
    events, address = list[dict[str, Any]](), f"{real.stand_in.url}/vaults/eu"

    async def publish(event: dict[str, Any]) -> None:
        events.append(event)

    real.stand_in._on_event = publish
    other = LocalKeyVault(address, real.ca)
    try:
        await real.put("search-key")
        tags = {"agent": "hello-agent", "env": "API_KEY"}
        written = [await real.stand_in.put("search-key", SecretVersion(f"eu-{n}", tags=tags), "eu") for n in range(30)]
        found = await other.get_secret("search-key", None)
        assert isinstance(found, Secret)
        assert (found.version, found.value.reveal()) == (written[-1].version, "eu-29")
        assert len(await other.list_secret_versions("search-key")) == 30
        assert await other.tagged_secrets("hello-agent") == {"API_KEY": "search-key"}
        assert await other.get_secret("other-key", None) is SecretUnavailable.MISSING
        assert len(await real.gateway.list_secret_versions("search-key")) == 1
    finally:
        await other.close()
    for event, expected in ((events[0], ""), (events[-1], address)):
        now, ours = datetime.now(UTC), "demo-vault.vault.azure.net"
        (parsed,) = parse_events(json.dumps(event), "demo", now, ours, project_vaults=[address])
        assert isinstance(parsed, SecretChanged)
        assert (parsed.name, parsed.address) == ("search-key", expected)


async def test_a_pinned_version_is_read(vault: VaultUnderTest) -> None:
    old = await vault.put("search-key")
    await vault.put("search-key", enabled=False)
    found = await vault.gateway.get_secret("search-key", old)
    assert isinstance(found, Secret)
    assert found.version == old


async def test_a_secret_that_cannot_be_read_has_a_reason(vault: VaultUnderTest) -> None:
    assert await vault.gateway.get_secret("nowhere", None) is SecretUnavailable.MISSING
    await vault.put("search-key", enabled=False)
    assert await vault.gateway.get_secret("search-key", None) is SecretUnavailable.DISABLED


async def test_the_versions_of_a_secret_are_listed_without_values(vault: VaultUnderTest) -> None:
    assert not await vault.gateway.list_secret_versions("nowhere")
    versions = [await vault.put("search-key", enabled=number > 0) for number in range(30)]
    listed = await vault.gateway.list_secret_versions("search-key")
    assert {item.version for item in listed} == set(versions)
    assert [item.version for item in listed if not item.enabled] == versions[:1]
    assert all(item.created_at for item in listed)


async def test_tags_map_secrets_to_variables_of_an_agent(vault: VaultUnderTest) -> None:
    await vault.put("one", tags={"agent": "hello", "env": "ONE"})
    await vault.put("two", tags={"agent": "hello", "env": "TWO"}, enabled=False)
    await vault.put("three", tags={"agent": "support", "env": "THREE"})
    for number in range(30):
        await vault.put(f"other-{number}")
    assert await vault.gateway.tagged_secrets("hello") == {"ONE": "one"}


async def test_tags_are_read_as_people_write_them(vault: VaultUnderTest) -> None:
    await vault.put("one", tags={"Agent": " Hello ", " ENV": "ONE "})
    await vault.put("two", tags={"agent": "hello"})
    await vault.put("three", tags={"agent": "hello", "env": ""})
    assert await vault.gateway.tagged_secrets("hello") == {"ONE": "one", "": "three"}


async def test_versions_name_the_agent_of_their_tags(vault: VaultUnderTest) -> None:
    await vault.put("one", tags={"Agent": " Hello ", " ENV": "ONE "})
    await vault.put("one", tags={"agent": "hello"})
    assert sorted(version.agent for version in await vault.gateway.list_secret_versions("one")) == ["", "hello"]


async def test_two_secrets_for_one_variable_are_ambiguous(vault: VaultUnderTest) -> None:
    for name in ("one", "two"):
        await vault.put(name, tags={"agent": "hello", "env": "KEY"})
    with pytest.raises(PermanentError, match=r"AMBIGUOUS.*one.*two.*KEY"):
        await vault.gateway.tagged_secrets("hello")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param({"status": 429}, TransientError, id="429"),
        pytest.param({"status": 500}, TransientError, id="500"),
        pytest.param({"drop": True}, TransientError, id="a closed connection"),
        pytest.param({"status": 200, "body": "<html>"}, TransientError, id="HTML"),
        pytest.param({"status": 400, "body": {"error": {"code": "BadParameter"}}}, PermanentError, id="400"),
    ],
)
async def test_a_fault_of_the_vault_raises_a_gateway_error(
    real: VaultUnderTest, fault: dict[str, Any], expected: type[Exception]
) -> None:
    assert real.stand_in is not None
    await real.put("search-key")
    await plan_faults(real.stand_in.url, {"path": "/secrets/", **fault})
    with pytest.raises(expected) as failed:
        await real.gateway.get_secret("search-key", None)
    assert SECRET not in str(failed.value)


async def test_a_403_of_the_vault_is_reported_as_forbidden(real: VaultUnderTest) -> None:
    assert real.stand_in is not None
    body = {"error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByRbac"}}}
    await plan_faults(real.stand_in.url, {"path": "/secrets", "status": 403, "body": body})
    assert await real.gateway.get_secret("search-key", None) is SecretUnavailable.FORBIDDEN
    with pytest.raises(PermanentError, match="FORBIDDEN"):
        await real.gateway.tagged_secrets("hello")
