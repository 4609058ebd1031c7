"""Where azd may assign no roles: the commands for whoever may, and no deployment of the app before they were run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.hooks.azure_cli import Azure, AzureError
from infra.hooks.deploy_request import DeployRequest, from_env
from infra.hooks.findings import Finding, error, ok, report
from infra.hooks.role_assignments import ROLES, Grant, command, grants, role_command

API = "2022-04-01"


def main(env: Mapping[str, str]) -> int:
    """Nothing to say where infra/ assigned the roles itself."""
    request = from_env(env)
    return 0 if request.assign_roles else report("roles", findings(request, env, Azure(env)))


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """One line for each role; what is missing with its command."""
    custom = _custom_role(request, azure) if request.foundry_role == "versions" else ""
    if request.foundry_role == "versions" and not custom:
        yield error(
            "role", f"{ROLES['agentVersions']['role']} ({request.environment}) is not there", role_command(request)
        )
    for grant in grants(request, env):
        role = custom if grant.key == "agentVersions" else grant.role
        asked = f"{grant.scope}/providers/Microsoft.Authorization/roleAssignments"
        try:
            listed = azure.list(f"{asked}?$filter=principalId eq '{grant.principal}'", API)
        except AzureError:
            listed = []  # who may not even look is given the command
        yield judge(grant, role, request, listed)


def judge(grant: Grant, role: str, request: DeployRequest, listed: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether one of the assignments that reach the scope is of the role."""
    reach = [one["properties"] for one in listed if grant.scope.lower().startswith(one["properties"]["scope"].lower())]
    row = ROLES[grant.key]
    told = f"{row['role']} for {row['who']} on {grant.scope.rpartition('/')[2]}"
    if role and any(one["roleDefinitionId"].lower().endswith(role.lower()) for one in reach):
        return ok("role", told)
    made = command(grant)
    if grant.key == "agentVersions":
        made = made.replace(f'"{row["role"]}"', f'"{row["role"]} ({request.environment})"')
    return error("role", f"{told} is missing: {row['why']}", made)


def _custom_role(request: DeployRequest, azure: Azure) -> str:
    """The id of the custom role, or nothing."""
    name = f"{ROLES['agentVersions']['role']} ({request.environment})"
    asked = f"/subscriptions/{request.foundry_subscription}/providers/Microsoft.Authorization/roleDefinitions"
    found = azure.list(f"{asked}?$filter=roleName eq '{name}'", API)
    return str(found[0]["name"]) if found else ""


if __name__ == "__main__":
    sys.exit(main(os.environ))
