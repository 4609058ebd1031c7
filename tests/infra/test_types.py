"""Property names, values and required keys of infra/ against the types of Microsoft's Azure MCP server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra import bicep, tools
from tests.infra.checks import Infra
from tests.infra.resource_types import Types

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN_TYPES = {
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
}
"""Types that the server does not have; the Bicep compiler checks them (test_compiled.py)."""
INFRA = Infra(ROOT / "infra")
USED_TYPES = sorted({item.type for file in INFRA.files for item in file.resources.values()} - UNKNOWN_TYPES)
pytestmark = pytest.mark.timeout(300)  # the first run on a machine creates the virtual environment


@pytest.fixture(scope="module")
def known() -> dict[str, Types]:
    return {name: Types(answer) for name, answer in tools.types(USED_TYPES).items()}


def type_problems(file: bicep.File, known: dict[str, Types]) -> list[str]:
    resources = [item for item in file.resources.values() if item.type in known]
    return [problem for resource in resources for problem in known[resource.type].problems(resource)]


def test_every_resource_matches_its_type(known: dict[str, Types]) -> None:
    assert {file.path.name: type_problems(file, known) for file in INFRA.files if type_problems(file, known)} == {}


def test_the_list_of_unknown_types_is_exact(known: dict[str, Types]) -> None:
    assert set(known) == set(USED_TYPES)
    answers = tools.types(sorted(UNKNOWN_TYPES))
    assert {name for name, answer in answers.items() if answer["status"] == 200} == set()


MISTAKES = [
    pytest.param("storage", "allowSharedKeyAccess", "allowSharedKeysAccess", "is not a property", id="misspelled"),
    pytest.param("storage", "'TLS1_2'", "'TLS12'", "must be one of TLS1_0", id="an invalid value"),
    pytest.param(
        "storage", "  kind: 'StorageV2'\n", "", "account.kind is required", id="a required property is missing"
    ),
    pytest.param("storage", "days: 7", "days: 'seven'", "must be a int", id="text instead of a number"),
    pytest.param(
        "storage",
        "@2025-01-01' = {\n  name: name",
        "@2019-01-01' = {\n  name: name",
        "is known with version",
        id="another version",
    ),
    pytest.param("function", "instanceMemoryMB: i", "instanceMemory: i", "is not a property", id="a nested property"),
    pytest.param(
        "function",
        "alwaysReady: alwaysReady == 0",
        "warm: alwaysReady == 0",
        "warm is not a property",
        id="a property beside a choice",
    ),
    pytest.param(
        "function", "            instanceCount:", "            count:", "count is not a property", id="inside a choice"
    ),
    pytest.param("identity", "  tags: tags\n", "  tags: tags\n  id: 'x'\n", "is read-only", id="a read-only property"),
    pytest.param("network", "addressPrefixes: [", "addressPrefix: [", "is not a property", id="in a list"),
]


@pytest.mark.parametrize(("module", "original", "mistake", "problem"), MISTAKES)
def test_a_planted_mistake_is_detected(
    known: dict[str, Types], tmp_path: Path, module: str, original: str, mistake: str, problem: str
) -> None:
    text = (ROOT / "infra" / "modules" / f"{module}.bicep").read_text()
    assert original in text, "the text to replace is not in the file"
    broken = tmp_path / f"{module}.bicep"
    broken.write_text(text.replace(original, mistake))
    problems = type_problems(bicep.read(broken), known)
    assert any(problem in found for found in problems), problems
