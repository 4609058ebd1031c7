"""Runs every check and prints the results."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import get_args

from cli.arm_client import ArmClient, Json
from cli.doctor import dead_letters, event_subscriptions, local_checks, registry, services
from cli.doctor.resources import Resources, find, vault_name
from cli.doctor.result import Check, Status, failed, ok, unknown, words
from cli.doctor.role_assignments import AGENTS, BLOBS, QUEUES, SECRETS, RoleAssignments
from cli.exit_codes import BAD_RESULT, INTERRUPTED
from cli.output import Progress, columns, join_lines
from cli.runner import CommandResult, print_result
from core.agents_file.spec import Agents
from handlers.gateways.errors import GatewayError
from handlers.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    client_id: str | None
    subscription: str | None


def run_doctor(as_json: bool, client_id: str | None, subscription: str | None) -> int:
    """Run all checks; return 0 unless a check failed: an unknown result is not a fault."""
    try:
        results = asyncio.run(_checks(Options(client_id, subscription)))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    print_result(CommandResult(_text(results), [check.fields for check in results]), as_json)
    return BAD_RESULT if any(check.status == "failed" for check in results) else 0


async def _checks(options: Options) -> list[Check]:
    settings, of_settings = local_checks.check_settings()
    results = [local_checks.check_python(), local_checks.check_sdks(), *of_settings]
    if settings is None:
        return results
    results += local_checks.check_sources(settings)
    agents, of_agents = local_checks.check_agents_file(settings)
    results += of_agents
    progress = Progress()
    async with progress.shown():
        return results + await _remote_checks(settings, agents or Agents(agents={}), options, progress)


async def _remote_checks(settings: Settings, agents: Agents, options: Options, progress: Progress) -> list[Check]:
    from handlers import bootstrap

    gateways, arm = bootstrap.gateways(), ArmClient(bootstrap.credential())
    try:
        progress.activity = "calling the services"
        results = await services.checks(agents, gateways)
        progress.activity = "reading Azure Resource Manager"
        return results + await _resource_checks(settings, agents, options, arm)
    finally:
        await arm.close()
        await bootstrap.close()


async def _resource_checks(settings: Settings, agents: Agents, options: Options, arm: ArmClient) -> list[Check]:
    try:
        resources = await find(arm, settings, agents, options.client_id or settings.client_id, options.subscription)
    except GatewayError as error:
        return [_unreadable(error)]
    roles = RoleAssignments(arm)
    groups: list[Callable[[], Awaitable[list[Check]]]] = [
        lambda: registry.checks(resources, roles, settings.registry_login_server),
        lambda: check_app_identity(resources, roles),
        lambda: event_subscriptions.checks(resources, arm, agents),
        lambda: dead_letters.checks(resources, arm),
    ]
    results: list[Check] = []
    for group in groups:
        try:
            results += await group()
        except GatewayError as error:
            results.append(_unreadable(error))
    return results


def _unreadable(error: GatewayError) -> Check:
    return unknown("roles, policies and subscriptions", *words(error))


async def check_app_identity(resources: Resources, roles: RoleAssignments) -> list[Check]:
    """Check what the app's identity may do on projects, vaults and storage."""
    identity, app = "identity of the app", resources.app
    return [
        *[await roles.check(identity, app, AGENTS, item.project, item.name) for item in resources.projects],
        *[
            await _vault(identity, app, vault_name(address), vault, roles)
            for address, vault in resources.vaults.items()
        ],
        await roles.check(identity, app, BLOBS, resources.storage, "storage (blobs)"),
        await roles.check(identity, app, QUEUES, resources.storage, "storage (queues)"),
    ]


async def _vault(identity: str, app: str | None, name: str, vault: Json | None, roles: RoleAssignments) -> Check:
    """Check the role, or the access policies of a vault that still uses them."""
    properties: Json = (vault or {}).get("properties") or {}
    if vault is None or app is None or properties.get("enableRbacAuthorization", True):
        return await roles.check(identity, app, SECRETS, vault, name)
    policies = [item for item in properties.get("accessPolicies") or [] if item.get("objectId") == app]
    allowed = {
        str(right).lower() for policy in policies for right in (policy.get("permissions") or {}).get("secrets") or []
    }
    if {"get", "all"} & allowed:
        return ok(f"{identity} on {name}", "has get, by an access policy")
    fix = f"az keyvault set-policy -n {vault['name']} --object-id {app} --secret-permissions get"
    return failed(f"{identity} on {name}", "no access policy lets it get secrets", fix)


def _text(results: list[Check]) -> str:
    rows = columns([(check.status, check.name, check.detail) for check in results]).splitlines()
    lines: list[str] = []
    for check, row in zip(results, rows, strict=True):
        lines.append(row)
        lines += [join_lines(f"    {check.fix}")] if check.fix and check.status != "ok" else []
    counts = {status: sum(check.status == status for check in results) for status in get_args(Status)}
    return "\n".join([*lines, ", ".join(f"{count} {status}" for status, count in counts.items())])
