"""infra/ passes every check, and each check detects a planted mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.infra.checks import problems

ROOT = Path(__file__).resolve().parents[2]
MISTAKES = [
    pytest.param(
        "main.bicep",
        "output AZURE_LOCATION string = location",
        "output KEY string = listKeys(group.id)",
        "listKeys",
        id="a call of listKeys",
    ),
    pytest.param(
        "main.bicep",
        "output SLIPWAY_TOKEN",
        "output STORAGE_SAS",
        "has the output STORAGE_SAS",
        id="an output named like a secret",
    ),
    pytest.param(
        "main.bicep",
        "param pollSeconds string = '2'",
        "param pollSeconds string = '3'",
        "POLL_SECONDS is",
        id="a different default",
    ),
    pytest.param("main.bicep", "@description('Foundry account')\n", "", "no description", id="no description"),
    pytest.param(
        "modules/topic.bicep",
        "type: 'SystemAssigned'",
        "type: 'None'",
        "system-assigned identity",
        id="a topic without identity",
    ),
    pytest.param(
        "modules/roles.json", "4633458b-17de", "4633458b-17df", "Key Vault Secrets User", id="a wrong role id"
    ),
    pytest.param(
        "modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "Shared", id="shared keys"
    ),
    pytest.param("modules/storage.bicep", "'TLS1_2'", "'TLS12'", "minimumTlsVersion", id="an invalid value"),
    pytest.param("modules/storage.bicep", "  'releases-poison'\n", "", "different queues", id="a missing queue"),
    pytest.param("modules/storage.bicep", "'slipway/journal/'", "'slipway/'", "expires", id="state that expires"),
    pytest.param(
        "modules/storage.bicep",
        "bypass: 'AzureServices'",
        "bypass: 'None'",
        "blocks Event Grid",
        id="no trusted services",
    ),
    pytest.param(
        "modules/function.bicep",
        "'function:release_agent'",
        "'function:release'",
        "not a function",
        id="an unknown always-ready function",
    ),
    pytest.param(
        "main.parameters.json",
        '"alwaysReady"',
        '"alwaysReddy"',
        "has no alwaysReady",
        id="a misspelled parameter in the parameters file",
    ),
    *(
        pytest.param(
            "modules/function.bicep",
            "      scmMinTlsVersion: '1.2'",
            f"      scmMinTlsVersion: '1.2'\n      {line}",
            "Flex Consumption may refuse",
            id=f"siteConfig with {line.partition(':')[0]}",
        )
        for line in ("ftpsState: 'Disabled'", "linuxFxVersion: 'Python|3.13'", "alwaysOn: false")
    ),
    pytest.param("../azure.yaml", "    - VAULT_SECRETS\n", "", "VAULT_SECRETS", id="a missing pipeline variable"),
]


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """A copy of infra/ to plant mistakes in, with the files that the checks read beside it."""
    for name in ("azure.yaml", "function_app.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns("hooks", "__pycache__"))
    return tmp_path / "infra"


def test_infra_passes_every_check() -> None:
    assert problems(ROOT / "infra") == []


@pytest.mark.parametrize(("file", "original", "mistake", "problem"), MISTAKES)
def test_a_planted_mistake_is_detected(infra: Path, file: str, original: str, mistake: str, problem: str) -> None:
    text = (infra / file).read_text()
    assert original in text, "the text to replace is not in the file"
    (infra / file).write_text(text.replace(original, mistake))
    assert any(problem in found for found in problems(infra)), problems(infra)
