"""azd postprovision, for ASSIGN_ROLES=false: print a command for each missing role, and stop until all are assigned."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import infra.hooks.python_version  # noqa: F401 - ends the hook on a Python that is too old

# isort: split
from handlers.gateways.errors import PermanentError
from infra.hooks.azure_client import Azure, report_failure
from infra.hooks.deploy_request import DeployRequest, from_env
from infra.hooks.findings import Finding, error, ok, report
from infra.hooks.role_assignments import (
    ROLES,
    RoleAssignment,
    assignment_command,
    custom_role_command,
    custom_role_name,
    role_assignments,
)

AFTER = "have an administrator run the commands above, wait some minutes, then: azd provision, azd deploy"


def main(env: Mapping[str, str], **options: Any) -> int:
    """Print nothing if the template assigned the roles itself."""
    request = from_env(env)
    if request.assign_roles:
        return 0
    with Azure(env, **options) as azure:
        return report("roles", report_failure(findings(request, env, azure)), AFTER)


def findings(request: DeployRequest, env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """One finding for each role; a missing role comes with the command that assigns it."""
    custom_role = _custom_role_id(request, azure) if request.foundry_role == "versions" else ""
    if request.foundry_role == "versions" and not custom_role:
        yield error("role", f"{custom_role_name(request)} does not exist", custom_role_command(request))
    for assignment in role_assignments(request, env):
        role = custom_role if assignment.key == "agentVersions" else assignment.role
        try:
            existing = azure.role_assignments(assignment.scope, assignment.principal)
        except PermanentError:
            existing = []  # without the right to list assignments, the command is printed as for a missing role
        yield check_assigned(assignment, role, request, existing)


def check_assigned(
    assignment: RoleAssignment, role: str, request: DeployRequest, existing: Sequence[Mapping[str, Any]]
) -> Finding:
    """Whether an existing assignment gives the role at the scope or above it."""
    scope = f"{assignment.scope.lower()}/"
    effective = [
        item["properties"]
        for item in existing
        if scope.startswith(f"{item['properties']['scope'].lower().rstrip('/')}/")
    ]
    row = ROLES[assignment.key]
    subject = f"{row['role']} for {row['who']} on {assignment.scope.rpartition('/')[2]}"
    if role and any(properties["roleDefinitionId"].lower().endswith(role.lower()) for properties in effective):
        return ok("role", subject)
    command = assignment_command(assignment)
    if assignment.key == "agentVersions":
        command = command.replace(row["role"], custom_role_name(request))
    return error("role", f"{subject} is missing: {row['why']}", command)


def _custom_role_id(request: DeployRequest, azure: Azure) -> str:
    """The id of the custom role, or an empty text if it does not exist."""
    definitions = azure.role_definitions(request.projects[0].subscription, custom_role_name(request))
    return str(definitions[0]["name"]) if definitions else ""


if __name__ == "__main__":
    sys.exit(main(os.environ))
