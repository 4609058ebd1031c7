"""checkov over infra/: it reads every file, and what it asks for in vain has a reason."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra import tools

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "infra" / "checkov.yaml"
PLANTED = {
    "CKV_AZURE_3": ("storage.bicep", "supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false"),
    "CKV_AZURE_14": ("function.bicep", "httpsOnly: true", "httpsOnly: false"),
    "CKV_AZURE_110": ("vault.bicep", "enablePurgeProtection: true", "enablePurgeProtection: false"),
    "CKV_AZURE_137": ("registry.bicep", "adminUserEnabled: false", "adminUserEnabled: true"),
}
pytestmark = pytest.mark.timeout(300)


def skipped() -> dict[str, str]:
    """Rule → reason."""
    return dict(re.findall(r"^  - (CKV_\w+) # (.+)$", CONFIG.read_text(), re.MULTILINE))


def failed(told: dict[str, Any]) -> set[str]:
    return {one["check_id"] for one in told["results"]["failed_checks"]}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The modules with a break each, one file that is none, and nothing skipped: one run tells of all."""
    folder = tmp_path_factory.mktemp("broken")
    modules = shutil.copytree(ROOT / "infra" / "modules", folder / "modules")
    for file, what, instead in PLANTED.values():
        text = (modules / file).read_text()
        assert what in text, "the break is not where it was"
        (modules / file).write_text(text.replace(what, instead))
    (modules / "half.bicep").write_text("resource half 'Microsoft.Web/sites@2024-11-01' = {\n  name: \n")
    config = folder / "checkov.yaml"
    config.write_text("framework:\n  - bicep\n")
    return tools.checkov(modules, config)


def test_it_reads_every_file_and_finds_nothing() -> None:
    told = tools.checkov(ROOT / "infra", CONFIG)
    assert told["summary"]["parsing_errors"] == 0
    assert told["summary"]["passed"] > 20
    assert failed(told) == set()


def test_every_rule_that_is_skipped_has_a_reason_and_would_fail(broken: dict[str, Any]) -> None:
    listed = re.findall(r"^  - (CKV_\w+)", CONFIG.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(skipped())
    assert set(listed) <= failed(broken), "a rule that passes now needs no skipping"


def test_planted_breaks_and_a_file_that_is_none_are_seen(broken: dict[str, Any]) -> None:
    assert set(PLANTED) <= failed(broken)
    assert broken["summary"]["parsing_errors"] == 1
