"""Faults of one project: they match its addresses alone, and replace only its own."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from local.foundry.server import Foundry
from local.stand_in import Fault


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/api/projects/eu/agents/hello-agent", True),
        ("/api/projects/eu?api-version=v1", True),
        ("/api/projects/eu-2/agents/hello-agent", False),
        ("/api/projects/demo/agents/eu", False),
        ("/vaults/eu/secrets/key/", True),
        ("/secrets/eu/", False),
    ],
)
def test_a_fault_of_a_project_matches_its_addresses(path: str, matches: bool) -> None:
    assert Fault("", project="eu").matches("GET", path) is matches
    assert Fault("").matches("GET", path)


async def test_the_faults_of_a_project_replace_only_its_own() -> None:
    foundry = Foundry()
    async with TestClient(TestServer(foundry.app())) as client:
        for query, status in (("", 500), ("?project=eu", 403), ("?project=us", 429), ("?project=eu", 503)):
            await client.put(f"/_local/faults{query}", json=[{"path": "", "status": status}])
        assert [(fault.project, fault.status) for fault in foundry.faults] == [("", 500), ("us", 429), ("eu", 503)]
        await client.put("/_local/faults?project=us", json=[])
        assert [fault.project for fault in foundry.faults] == ["", "eu"]
        assert (await client.put("/_local/faults", json=[{"path": "", "projects": "eu"}])).status == 400
        await client.put("/_local/faults", json=[])
        assert foundry.faults == []
