"""Where azd may assign no roles: the commands for whoever may, and no deployment of the app before they were run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.hooks.azure_cli import Azure, AzureError
from infra.hooks.findings import Finding, error, ok, report
from infra.hooks.grants import ROLES, Grant, command, grants, role_command
from infra.hooks.wishes import Wishes, from_env

API = "2022-04-01"


def main(env: Mapping[str, str]) -> int:
    """Nothing to say where infra/ assigned the roles itself."""
    wishes = from_env(env)
    return 0 if wishes.assign_roles else report("roles", findings(wishes, env, Azure(env)))


def findings(wishes: Wishes, env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """One line for each role; what is missing with its command."""
    custom = _custom_role(wishes, azure) if wishes.foundry_role == "versions" else ""
    if wishes.foundry_role == "versions" and not custom:
        yield error(
            "role", f"{ROLES['agentVersions']['role']} ({wishes.environment}) is not there", role_command(wishes)
        )
    for grant in grants(wishes, env):
        role = custom if grant.key == "agentVersions" else grant.role
        asked = f"{grant.scope}/providers/Microsoft.Authorization/roleAssignments"
        try:
            listed = azure.list(f"{asked}?$filter=principalId eq '{grant.principal}'", API)
        except AzureError:
            listed = []  # who may not even look is given the command
        yield judge(grant, role, wishes, listed)


def judge(grant: Grant, role: str, wishes: Wishes, listed: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether one of the assignments that reach the scope is of the role."""
    reach = [one["properties"] for one in listed if grant.scope.lower().startswith(one["properties"]["scope"].lower())]
    row = ROLES[grant.key]
    told = f"{row['role']} for {row['who']} on {grant.scope.rpartition('/')[2]}"
    if role and any(one["roleDefinitionId"].lower().endswith(role.lower()) for one in reach):
        return ok("role", told)
    made = command(grant)
    if grant.key == "agentVersions":
        made = made.replace(f'"{row["role"]}"', f'"{row["role"]} ({wishes.environment})"')
    return error("role", f"{told} is missing: {row['why']}", made)


def _custom_role(wishes: Wishes, azure: Azure) -> str:
    """The id of the custom role, or nothing."""
    name = f"{ROLES['agentVersions']['role']} ({wishes.environment})"
    asked = f"/subscriptions/{wishes.foundry_subscription}/providers/Microsoft.Authorization/roleDefinitions"
    found = azure.list(f"{asked}?$filter=roleName eq '{name}'", API)
    return str(found[0]["name"]) if found else ""


if __name__ == "__main__":
    sys.exit(main(os.environ))
