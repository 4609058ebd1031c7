"""infra/ as it stands holds what it must, and a planted break of each kind is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.infra.checks import problems

ROOT = Path(__file__).resolve().parents[2]
BREAKS = [
    pytest.param(
        "main.bicep", "param foundryProjectName string", "param foundryProjectName", "parse", id="half a parameter"
    ),
    pytest.param(
        "main.bicep",
        "    isPrivate: vnetEnabled",
        "    private: vnetEnabled",
        "private, which",
        id="a parameter's name",
    ),
    pytest.param(
        "main.bicep", "    storageId: storage.outputs.id", "    ", "is not given storageId", id="a parameter less"
    ),
    pytest.param(
        "main.bicep", "storage.outputs.blobEndpoint", "storage.outputs.blobs", "no output blobs", id="an output's name"
    ),
    pytest.param("main.bicep", "var here =", "var there = 1\nvar here =", "never uses there", id="a name too many"),
    pytest.param(
        "main.bicep", "SecretNewVersionCreated", "SecretNearExpiry", "rotations is not for", id="another event"
    ),
    pytest.param("main.bicep", "    registryTopicAccess\n", "", "does not wait", id="a subscription before its role"),
    pytest.param("main.bicep", "'PRUNE_SCHEDULE'", "'PRUNE_TIME'", "PRUNE_SCHEDULE is not set", id="a setting dropped"),
    pytest.param("main.bicep", "'AGENTS_FILE'", "'POLL_SECONDS'", "POLL_SECONDS is set twice", id="a setting twice"),
    pytest.param(
        "main.bicep", "if (outcomeTopic && assignRoles)", "if (outcomeTopic)", "assignRoles=false", id="a role always"
    ),
    pytest.param(
        "main.bicep",
        "output AZURE_LOCATION string = location",
        "output KEY string = listKeys(group.id)",
        "listKeys",
        id="a key",
    ),
    pytest.param(
        "main.bicep", "output SLIPWAY_TOKEN", "output STORAGE_SAS", "puts out STORAGE_SAS", id="a secret's name"
    ),
    pytest.param(
        "main.bicep",
        "param pollSeconds string = '2'",
        "param pollSeconds string = '3'",
        "POLL_SECONDS is",
        id="a default",
    ),
    pytest.param("main.bicep", "@description('The Foundry account')\n", "", "no description", id="no description"),
    pytest.param(
        "modules/subscription.bicep", "includedEventTypes", "subjectBeginsWith", "type alone", id="no filter by type"
    ),
    pytest.param(
        "modules/subscription.bicep", "'deadletters'", "'lost'", "keeps no dead letters", id="dead letters elsewhere"
    ),
    pytest.param(
        "modules/subscription.bicep",
        "deadLetterWithResourceIdentity",
        "x",
        "keeps no dead letters",
        id="no dead letters",
    ),
    pytest.param("modules/subscription-function.bicep", "1440", "14", "try for a day", id="tries that end early"),
    pytest.param("modules/subscription.bicep", "'SystemAssigned'", "'UserAssigned'", "identity", id="another identity"),
    pytest.param(
        "modules/subscription.bicep", "queueName: 'events'", "queueName: 'event'", "into events", id="another queue"
    ),
    pytest.param(
        "modules/storage-access.bicep",
        "name: guid(storage.id, p",
        "name: guid(storage.location, p",
        "outside",
        id="too early",
    ),
    pytest.param("modules/topic.bicep", "type: 'SystemAssigned'", "type: 'None'", "identity of its own", id="a topic"),
    pytest.param(
        "modules/roles.json", "4633458b-17de", "4633458b-17df", "Key Vault Secrets User", id="a wrong role id"
    ),
    pytest.param("modules/roles.json", '"acrPull"', '"acrPush"', "acrPull is assigned", id="a row's name"),
    pytest.param("modules/vault-access.bicep", "  scope: vault\n", "", "whole resource group", id="a role too wide"),
    pytest.param(
        "modules/foundry-access.bicep",
        "    principalType: 'ServicePrincipal'\n",
        "",
        "service principal",
        id="who it is",
    ),
    pytest.param(
        "modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "Shared", id="keys"
    ),
    pytest.param("modules/storage.bicep", "  'releases-poison'\n", "", "other queues", id="a queue less"),
    pytest.param("modules/storage.bicep", "'slipway/journal/'", "'slipway/'", "expires", id="a ledger that expires"),
    pytest.param(
        "modules/storage.bicep", "bypass: 'AzureServices'", "bypass: 'None'", "Event Grid out", id="nobody comes in"
    ),
    pytest.param(
        "modules/function.bicep", "'OTEL_TRACES_SAMPLER'", "'OTEL_SAMPLER'", "OTEL_TRACES_SAMPLER", id="a host's"
    ),
    pytest.param(
        "modules/function.bicep", "'function:release_agent'", "'function:release'", "no function", id="a warm one"
    ),
    pytest.param(
        "main.parameters.json", '"alwaysReady"', '"alwaysReddy"', "has no alwaysReady", id="a parameter's file"
    ),
    pytest.param("../azure.yaml", "    - VAULT_SECRETS\n", "", "VAULT_SECRETS", id="a variable of the pipeline"),
]


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """A copy that may be broken, with what stands beside it."""
    for name in ("azure.yaml", "function_app.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns("hooks", "__pycache__"))
    return tmp_path / "infra"


def test_nothing_is_wrong_with_it() -> None:
    assert problems(ROOT / "infra") == []


@pytest.mark.parametrize(("file", "what", "instead", "seen"), BREAKS)
def test_a_planted_break_is_seen(infra: Path, file: str, what: str, instead: str, seen: str) -> None:
    text = (infra / file).read_text()
    assert what in text, "the break is not where it was"
    (infra / file).write_text(text.replace(what, instead))
    assert any(seen in told for told in problems(infra)), problems(infra)
