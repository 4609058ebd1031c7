"""``make rehearse``: each row ends as it should; and Resource Manager answers what azd was recorded to ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.rehearsal import azd_token
from local.rehearsal.bicep import MISSING, Bicep, find_compiler
from local.rehearsal.expressions import Expressions
from local.rehearsal.run import run
from local.rehearsal.world import Machine, World

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "recorded" / "azd"
NOT_READ = frozenset({"log_url", "status_text", "author", "tags", "outputs", "properties"})
"""Keys that azd does not need, or whose content differs with each deployment."""
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason=MISSING)


@needs_compiler
@pytest.mark.timeout(900)
async def test_every_row_ends_as_it_should(tmp_path: Path) -> None:
    results = await run(tmp_path)
    assert [f"{result.name}: {result.ended}" for result in results if not result.passed] == []
    assert len(results) >= 12


@needs_compiler
@pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded exchanges of azd beside the checkout")
@pytest.mark.timeout(600)
async def test_resource_manager_answers_what_azd_asks_in_order(tmp_path: Path) -> None:
    compiler = find_compiler()
    assert compiler is not None
    async with Machine(tmp_path, azd_token.install(tmp_path / "bin"), Bicep(compiler)) as machine:
        world = await machine.world()
        wrong = [
            difference
            for name in ("up", "up-again", "down")
            for exchange in json.loads((RECORDED / f"{name}.json").read_text())["exchanges"]
            for difference in await differences(world, exchange)
        ]
    assert wrong == []


async def differences(world: World, exchange: Mapping[str, Any]) -> list[str]:
    """Ask as azd did; compare the status, and the keys of the answer."""
    azd = world.azd("dev")
    body = exchange.get("request")
    if body and body.get("properties", {}).get("template") == "…":
        properties = {**body["properties"], "template": world.template, "parameters": azd.parameters()}
        body = {**body, "properties": properties}
    sites = [key for key in world.arm.resources if "/microsoft.web/sites/" in key]
    headers = {"Authorization": "Bearer local", **({"X-Site": sites[0]} if sites else {})}
    token = next((site.rpartition("-")[2] for site in sites), "")
    path = exchange["path"].replace("z3p6uklv2oppg", token or "z3p6uklv2oppg")
    query = exchange["query"] or "api-version=1"
    url = f"{world.address}{path}?{query}"
    async with world.session.request(exchange["method"], url, json=body, headers=headers) as response:
        text = await response.text()
        answer = json.loads(text) if text else None
    where = f"{exchange['method']} {path}"
    if response.status != exchange["status"]:
        return [f"{where}: {response.status} instead of {exchange['status']}: {text[:300]}"]
    if path.endswith("/roleAssignments"):
        return []  # the recorded answer is of another principal, with a location, which Azure gives to no assignment
    return [f"{where}: {missing}" for missing in missing_keys(exchange["answer"], answer)]


def missing_keys(recorded: Any, answer: Any, path: str = "") -> list[str]:
    """Keys of the recorded answer that ours lacks; of a list the first items are compared."""
    if isinstance(recorded, dict) and isinstance(answer, dict):
        return [
            missing
            for key, value in recorded.items()
            if key not in ("log_url", "status_text", "author", "tags", "outputs", "properties")
            for missing in (
                missing_keys(value, answer[key], f"{path}.{key}") if key in answer else [f"no {path}.{key}"]
            )
        ]
    if isinstance(recorded, list) and isinstance(answer, list) and recorded:
        return missing_keys(recorded[0], answer[0], f"{path}[0]") if answer else [f"{path} is empty"]
    return []


def test_an_expression_is_answered_from_the_resources() -> None:
    resources = {"/a": {"properties": {"uri": {"blob": "https://b/"}}, "identity": {"principalId": "p"}}}
    resolve = Expressions(resources.__getitem__).resolve
    assert resolve("[format('{0}packages', reference('/a', '1').uri.blob)]") == "https://b/packages"
    assert resolve(["[reference('/a', '1', 'full').identity.principalId]", "[[text]", 1]) == ["p", "[[text]", 1]
    assert resolve("[extensionResourceId('/a', 'T/x', guid('/a', 'it''s'))]").startswith("/a/providers/T/x/")
    assert resolve({"[deployer().objectId]": None}) == {"00000000-0000-0000-0000-0000000000dd": None}
