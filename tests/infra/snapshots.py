"""What a deployment of infra/ would create, by Azure's own expression engine (``bicep snapshot``, without Azure).

A snapshot is written as lines: every resource with its group, every role with its principal and its scope, every
setting and output. Values that only Azure knows stay expressions. ``python -m tests.infra.snapshots`` writes the
expected files.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from local.rehearsal.bicep import find_compiler

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = Path(__file__).with_name("expected_snapshots")
APP, OTHER, TENANT = (f"00000000-0000-0000-0000-0000000000{digits}" for digits in ("01", "02", "ee"))
SUBSCRIPTIONS = {APP: "", OTHER: "other:"}
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
Json = Mapping[str, Any]
Values = Mapping[str, str | int | bool]


def place(subscription: str, group: str) -> str:
    """The beginning of a resource's id."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft."


BASE: Values = {
    "environmentName": "test",
    "location": "westeurope",
    "foundryAccountName": "contoso-ai",
    "foundryProjectName": "agents",
    "foundryResourceGroup": "rg-ai",
    "registryName": "contoso",
    "registryResourceGroup": "rg-shared",
    "vaultName": "contoso-kv",
    "vaultResourceGroup": "rg-vault",
}
"""Parameters as in the first deployment of docs/how-to/deploy.md."""
REQUESTS: Mapping[str, Values] = {
    "existing-sources": {},
    "created-sources": {
        "createRegistry": True,
        "createVault": True,
        "grantProjectPull": True,
        "registrySubscriptionId": OTHER,  # what is created is in the app's subscription
        "vaultSubscriptionId": OTHER,
    },
    "other-subscriptions": {
        "foundrySubscriptionId": OTHER,
        "registrySubscriptionId": OTHER,
        "vaultSubscriptionId": OTHER,
    },
    "own-topics": {"registryTopicName": "evgs-registry", "vaultTopicName": "evgs-vault"},
    "function-delivery": {"eventDelivery": "function"},
    "private-network": {"vnetEnabled": True},
    "no-roles": {"assignRoles": False},
    "versions-role": {"foundryRole": "versions"},
    "single-secrets": {"vaultSecretNames": " search-key ,,crm-key, "},
    "alert-emails": {"alertEmails": " a@contoso.com , b@contoso.com,"},
    "operator-group": {"operatorGroupId": "00000000-0000-0000-0000-0000000000aa"},
    "more-projects": {
        "grantProjectPull": True,
        "foundryRole": "versions",
        "moreProjectIds": f"{place(APP, 'rg-eu')}CognitiveServices/accounts/contoso-eu/projects/agents, "
        f"{place(OTHER, 'rg-us')}CognitiveServices/accounts/contoso-us/projects/agents",
        "moreVaultIds": f"{place(APP, 'rg-vault')}KeyVault/vaults/contoso-eu-kv,"
        f"{place(OTHER, 'rg-us')}KeyVault/vaults/contoso-us-kv:evgs-us",
    },
    "one-more-project": {
        "moreProjectIds": f"{place(APP, 'rg-ai')}CognitiveServices/accounts/contoso-ai/projects/production",
    },
    "least": {"alertRules": False, "outcomeTopic": False, "storageSku": "Standard_ZRS"},
}
"""The documented deployments, as changes of the first one."""


BICEP = find_compiler()


def bicep(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the compiler."""
    assert BICEP is not None
    env = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", **os.environ}  # the compiler then needs no ICU library
    return subprocess.run([BICEP, *arguments], capture_output=True, text=True, check=False, env=env)


@dataclass(frozen=True)
class RoleAssignment:
    """A role of a principal at a scope."""

    role: str
    principal: str
    scope: str


@dataclass(frozen=True)
class Snapshot:
    """The resources and outputs of one deployment."""

    resources: tuple[Json, ...]
    outputs: Json
    diagnostics: tuple[Json, ...]

    @property
    def token(self) -> str:
        return str(self.outputs["SLIPWAY_TOKEN"])

    def of_type(self, type_: str) -> list[Json]:
        return [resource for resource in self.resources if resource["type"] == type_]

    def assignments(self) -> list[RoleAssignment]:
        """Every role assignment; a principal that only Azure knows is an expression."""
        return [
            RoleAssignment(
                item["properties"]["roleDefinitionId"].rpartition("/")[2],
                item["properties"]["principalId"],
                _scope(item["id"]),
            )
            for item in self.of_type(ROLE_ASSIGNMENT)
        ]

    def settings(self) -> dict[str, str]:
        """The settings of the app; each has one value."""
        (app,) = self.of_type("Microsoft.Web/sites")
        listed = app["properties"]["siteConfig"]["appSettings"]
        settings = {setting["name"]: setting["value"] for setting in listed}
        assert len(settings) == len(listed), "a setting is there twice"
        return settings

    def lines(self) -> list[str]:
        """The snapshot for a person to read, in a stable order."""
        return [
            *sorted(f"resource  {self._short(item['id'])}{_sku(item)}" for item in self._others()),
            *sorted(self._role_line(item) for item in self.assignments()),
            *(f"setting   {name} = {self._short(value)}" for name, value in sorted(self.settings().items())),
            *(f"output    {name} = {self._short(value)}" for name, value in sorted(self.outputs.items())),
        ]

    def _others(self) -> list[Json]:
        return [resource for resource in self.resources if resource["type"] != ROLE_ASSIGNMENT]

    def _role_line(self, assignment: RoleAssignment) -> str:
        definitions = {item["name"]: item["properties"]["roleName"] for item in self.resources if _is_role(item)}
        role = {**_role_names(), **definitions}[assignment.role]
        return self._short(f"role      {role} | {assignment.principal} | {assignment.scope}")

    def _short(self, value: Any) -> str:
        """A text without the parts that are the same everywhere; the token of the names becomes ``~``."""
        text = re.sub(r"reference\('([^']+)', '[^']+'(?:, 'full')?\)", r"(\1)", str(value))
        text = re.sub(r"/subscriptions/([0-9a-f-]{36})/resourceGroups/([^/)'\s]+)(?:/providers/)?", _group, text)
        return text.replace(self.token, "~").replace(APP, "<subscription>").replace(OTHER, "<other>").strip("[]")


def _group(match: re.Match[str]) -> str:
    return f"{SUBSCRIPTIONS[match[1]]}{match[2]} "


def _sku(resource: Json) -> str:
    sku = (resource.get("sku") or {}).get("name")
    return f" ({sku})" if sku else ""


def _is_role(resource: Json) -> bool:
    return bool(resource["type"] == "Microsoft.Authorization/roleDefinitions")


def _scope(assignment_id: str) -> str:
    """The scope of an assignment whose id is known, or an expression over a known scope."""
    expression = re.match(r"\[extensionResourceId\('([^']+)'", assignment_id)
    return expression[1] if expression else assignment_id.partition(f"/providers/{ROLE_ASSIGNMENT}")[0]


@cache
def _role_names() -> dict[str, str]:
    rows = json.loads((ROOT / "infra" / "modules" / "roles.json").read_text()).values()
    return {row["id"]: row["role"] for row in rows}


def take(values: Values, infra: Path = ROOT / "infra", subscription: str = APP) -> Snapshot:
    """Evaluate infra/ with these parameters, in a copy: the compiler writes beside the parameters file."""
    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(infra, Path(name) / "infra", ignore=shutil.ignore_patterns("hooks", "monitoring"))
        lines = [f"param {key} = {_literal(value)}" for key, value in values.items()]
        file = folder / "main.bicepparam"
        file.write_text("\n".join(["using 'main.bicep'", *lines, ""]))
        context = ("--subscription-id", subscription, "--tenant-id", TENANT, "--location", "westeurope")
        done = bicep("snapshot", str(file), *context, "--deployment-name", "dev")
        assert done.returncode == 0, done.stderr + done.stdout
        found = json.loads((folder / "main.snapshot.json").read_text())
    return Snapshot(tuple(found["predictedResources"]), found["outputs"], tuple(found["diagnostics"]))


def _literal(value: str | int | bool) -> str:
    return json.dumps(value) if not isinstance(value, str) else "'" + value.replace("'", "\\'") + "'"


@cache
def of_request(name: str) -> Snapshot:
    """The snapshot of a documented deployment."""
    return take({**BASE, **REQUESTS[name]})


def expected_text(name: str) -> str:
    """The first deployment as it is; any other as its difference from the first."""
    first = of_request("existing-sources").lines()
    if name == "existing-sources":
        return "\n".join([*first, ""])
    return "\n".join([*_changes(first, of_request(name).lines()), ""])


def _changes(first: list[str], lines: list[str]) -> Iterator[str]:
    yield from (line for line in difflib.ndiff(first, lines) if line[0] in "+-")


if __name__ == "__main__":
    EXPECTED.mkdir(exist_ok=True)
    for request in REQUESTS:
        (EXPECTED / f"{request}.txt").write_text(expected_text(request))
