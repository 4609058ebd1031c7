"""Key Vault: one suite for the fake and for the real SDK against the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.secrets.aio import SecretClient

from core.model import Secret, SecretUnavailable, SecretValue
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.interfaces import KeyVault
from handlers.gateways.key_vault import AzureKeyVault
from local.tls import Authority
from local.vault import SecretVersion
from local.vault import Vault as StandIn
from tests.support.local_clients import AsyncLocalCredential, plan_faults

SECRET = "canary-91aa"
LATER = datetime(2030, 1, 1, tzinfo=UTC)


class TrustingVault(AzureKeyVault):
    """The gateway with a client that trusts the throw-away authority; a process would set SSL_CERT_FILE instead."""

    def __init__(self, url: str, ca: Path) -> None:
        super().__init__(url, AsyncLocalCredential())
        options = {"connection_verify": str(ca), "retry_backoff_factor": 0.01, "read_timeout": 2}
        self._client = SecretClient(url, AsyncLocalCredential(), **options)


@dataclass
class Arranged:
    vault: KeyVault
    stand_in: StandIn | None = None

    async def put(self, name: str, *, enabled: bool = True, tags: Mapping[str, str] | None = None, **dates: Any) -> str:
        if self.stand_in is None:
            assert isinstance(self.vault, InMemoryKeyVault)
            return self.vault.put(name, SECRET, enabled=enabled, tags=tags, **dates).version
        seconds: dict[str, Any] = {key: int(value.timestamp()) for key, value in dates.items()}
        made = SecretVersion(SECRET, enabled=enabled, tags=dict(tags or {}), **seconds)
        return (await self.stand_in.put(name, made)).version


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Arranged]:
    authority, stand_in = Authority(tmp_path), StandIn()
    url = await stand_in.start(tls=authority.server())
    vault = TrustingVault(url, authority.ca)
    yield Arranged(vault, stand_in)
    await vault.close()
    await stand_in.stop()


@pytest.fixture(params=["fake", "stand-in"])
async def arranged(request: pytest.FixtureRequest, served: Arranged) -> Arranged:
    return Arranged(InMemoryKeyVault()) if request.param == "fake" else served


async def test_value_and_version_come_from_one_read(arranged: Arranged) -> None:
    await arranged.put("search-key")
    version = await arranged.put("search-key", expires_on=LATER, not_before=LATER)
    found = await arranged.vault.get_secret("search-key", None)
    assert found == Secret("search-key", version, SecretValue(SECRET), LATER, LATER)


async def test_a_pinned_version_is_read_as_it_is(arranged: Arranged) -> None:
    old = await arranged.put("search-key")
    await arranged.put("search-key", enabled=False)
    found = await arranged.vault.get_secret("search-key", old)
    assert isinstance(found, Secret)
    assert found.version == old


async def test_what_cannot_be_read_says_why(arranged: Arranged) -> None:
    assert await arranged.vault.get_secret("nowhere", None) is SecretUnavailable.MISSING
    await arranged.put("search-key", enabled=False)
    assert await arranged.vault.get_secret("search-key", None) is SecretUnavailable.DISABLED


async def test_tags_give_variables_of_one_agent(arranged: Arranged) -> None:
    await arranged.put("one", tags={"agent": "hello", "env": "ONE"})
    await arranged.put("two", tags={"agent": "hello", "env": "TWO"}, enabled=False)
    await arranged.put("three", tags={"agent": "support", "env": "THREE"})
    for number in range(30):
        await arranged.put(f"other-{number}")
    assert await arranged.vault.tagged_secrets("hello") == {"ONE": "one"}


async def test_two_secrets_for_one_variable_are_ambiguous(arranged: Arranged) -> None:
    for name in ("one", "two"):
        await arranged.put(name, tags={"agent": "hello", "env": "KEY"})
    with pytest.raises(PermanentError, match=r"AMBIGUOUS.*one.*two.*KEY"):
        await arranged.vault.tagged_secrets("hello")


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
async def test_faults_are_one_of_our_two_errors(
    served: Arranged, fault: dict[str, Any], expected: type[Exception]
) -> None:
    assert served.stand_in is not None
    await served.put("search-key")
    await plan_faults(served.stand_in.url, {"path": "/secrets/", **fault})
    with pytest.raises(expected) as failed:
        await served.vault.get_secret("search-key", None)
    assert SECRET not in str(failed.value)


async def test_a_vault_that_forbids_reads_as_forbidden(served: Arranged) -> None:
    assert served.stand_in is not None
    body = {"error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByRbac"}}}
    await plan_faults(served.stand_in.url, {"path": "/secrets", "status": 403, "body": body})
    assert await served.vault.get_secret("search-key", None) is SecretUnavailable.FORBIDDEN
    with pytest.raises(PermanentError, match="FORBIDDEN"):
        await served.vault.tagged_secrets("hello")
