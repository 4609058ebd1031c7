"""checkov on infra/modules: every file is parsed, no rule fails, and every skipped rule has a reason."""

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
    "CKV_AZURE_44": ("storage.bicep", "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'"),
    "CKV_AZURE_137": ("registry.bicep", "adminUserEnabled: false", "adminUserEnabled: true"),
}
pytestmark = pytest.mark.timeout(300)


def skip_reasons() -> dict[str, str]:
    """Rule → reason."""
    return dict(re.findall(r"^  - (CKV_\w+) # (.+)$", CONFIG.read_text(), re.MULTILINE))


def failed(report: dict[str, Any]) -> set[str]:
    return {check["check_id"] for check in report["results"]["failed_checks"]}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One report on modules with planted mistakes and a file that does not parse, with no rule skipped."""
    folder = tmp_path_factory.mktemp("broken")
    modules = shutil.copytree(ROOT / "infra" / "modules", folder / "modules")
    for file, original, mistake in PLANTED.values():
        text = (modules / file).read_text()
        assert original in text, "the text to replace is not in the file"
        (modules / file).write_text(text.replace(original, mistake))
    (modules / "half.bicep").write_text("resource half 'Microsoft.Web/sites@2024-11-01' = {\n  name: \n")
    config = folder / "checkov.yaml"
    config.write_text("framework:\n  - bicep\n")
    return tools.checkov(modules, config)


def test_every_file_is_parsed_and_no_rule_fails() -> None:
    report = tools.checkov(ROOT / "infra" / "modules", CONFIG)  # main.bicep has no resource but the group
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 20
    assert failed(report) == set()


def test_every_skipped_rule_has_a_reason_and_would_fail(broken: dict[str, Any]) -> None:
    listed = re.findall(r"^  - (CKV_\w+)", CONFIG.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(skip_reasons())
    assert set(listed) <= failed(broken), "a rule that passes need not be skipped"


def test_planted_mistakes_and_an_unparsable_file_are_detected(broken: dict[str, Any]) -> None:
    assert set(PLANTED) <= failed(broken)
    assert broken["summary"]["parsing_errors"] == 1
