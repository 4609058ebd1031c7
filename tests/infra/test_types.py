"""Property names, values and required keys against the types of Microsoft's Azure MCP server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra import bicep, tools
from tests.infra.checks import Infra
from tests.infra.resource_types import Types

ROOT = Path(__file__).resolve().parents[2]
NOT_CARRIED = {
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
}
"""Types that the server does not have; a compiler checks them (test_compiled.py), and so does the workflow."""
INFRA = Infra(ROOT / "infra")
WANTED = sorted({one.type for file in INFRA.files for one in file.resources.values()} - NOT_CARRIED)
pytestmark = pytest.mark.timeout(300)  # the first test of a machine makes the environment


@pytest.fixture(scope="module")
def known() -> dict[str, Types]:
    return {name: Types(answer) for name, answer in tools.types(WANTED).items()}


def wrong(file: bicep.File, known: dict[str, Types]) -> list[str]:
    return [told for one in file.resources.values() if one.type in known for told in known[one.type].problems(one)]


def test_every_resource_is_as_its_type_wants_it(known: dict[str, Types]) -> None:
    assert {file.path.name: wrong(file, known) for file in INFRA.files if wrong(file, known)} == {}


def test_what_is_not_carried_is_said(known: dict[str, Types]) -> None:
    assert set(known) == set(WANTED)
    answers = tools.types(sorted(NOT_CARRIED))
    assert {name for name, answer in answers.items() if answer["status"] == 200} == set()


BREAKS = [
    pytest.param("storage", "allowSharedKeyAccess", "allowSharedKeysAccess", "is no property", id="misspelled"),
    pytest.param("storage", "'TLS1_2'", "'TLS12'", "is one of TLS1_0", id="a value that is none"),
    pytest.param("storage", "  kind: 'StorageV2'\n", "", "account.kind is required", id="what is required"),
    pytest.param("storage", "days: 7", "days: 'seven'", "is a int", id="a text for a number"),
    pytest.param(
        "storage", "@2025-01-01' = {\n  name: name", "@2019-01-01' = {\n  name: name", "is known as", id="a version"
    ),
    pytest.param("function", "instanceMemoryMB: i", "instanceMemory: i", "is no property", id="deep inside"),
    pytest.param(
        "function", "alwaysReady: alwaysReady == 0", "warm: alwaysReady == 0", "warm is no property", id="a choice"
    ),
    pytest.param(
        "function", "            instanceCount:", "            count:", "count is no property", id="inside a choice"
    ),
    pytest.param("subscription", "'StorageQueue'", "'Queue'", "endpointType is one of", id="a kind that is none"),
    pytest.param("subscription", "queueName:", "queue:", "queue is no property", id="of its kind"),
    pytest.param("identity", "  tags: tags\n", "  tags: tags\n  id: 'x'\n", "can only be read", id="what is read"),
    pytest.param("network", "addressPrefixes: [", "addressPrefix: [", "is no property", id="in a list"),
]


@pytest.mark.parametrize(("module", "what", "instead", "seen"), BREAKS)
def test_a_planted_break_is_seen(
    known: dict[str, Types], tmp_path: Path, module: str, what: str, instead: str, seen: str
) -> None:
    text = (ROOT / "infra" / "modules" / f"{module}.bicep").read_text()
    assert what in text, "the break is not where it was"
    broken = tmp_path / f"{module}.bicep"
    broken.write_text(text.replace(what, instead))
    told: list[Any] = wrong(bicep.read(broken), known)
    assert any(seen in one for one in told), told
