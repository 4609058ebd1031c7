"""Runs every check, shows them, and says with its code whether all is well."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cli import running
from cli.codes import INTERRUPTED, NOT_WELL
from cli.doctor import buried, events, here, registry, services
from cli.doctor.arm import Arm, Json
from cli.doctor.checks import Check, ok, unclear, wrong
from cli.doctor.resources import Resources, find
from cli.doctor.rights import AGENTS, BLOBS, QUEUES, SECRETS, Rights
from cli.failing import sentence
from cli.running import Answer
from cli.screen import Progress, columns
from core.agents_file.spec import Agents
from handlers.gateways.errors import GatewayError
from handlers.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What doctor was given."""

    client_id: str | None
    subscription: str | None


def visit(as_json: bool, client_id: str | None, subscription: str | None) -> int:
    """0 where nothing is wrong; what nobody can tell is no reason for another code."""
    try:
        told = asyncio.run(_visit(Asked(client_id, subscription)))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    bad = any(one.verdict == "wrong" for one in told)
    running.tell(Answer(_text(told), [one.told for one in told]), as_json)
    return NOT_WELL if bad else 0


async def _visit(asked: Asked) -> list[Check]:
    given, told = here.settings()
    told = [here.python(), here.sdks(), *told]
    if given is None:
        return told
    agents, of_rules = here.rules(given)
    told += of_rules
    progress = Progress()
    async with progress.told():
        return told + await _outside(given, agents or Agents(agents={}), asked, progress)


async def _outside(given: Settings, agents: Agents, asked: Asked, progress: Progress) -> list[Check]:
    from azure.identity.aio import DefaultAzureCredential

    from handlers import bootstrap

    gateways = bootstrap.gateways()
    credential = DefaultAzureCredential(require_envvar=True)
    arm = Arm(credential)
    try:
        progress.what = "asking the services"
        told = await services.checks(agents, gateways)
        progress.what = "asking Azure Resource Manager"
        return told + await _control_plane(given, agents, asked, arm)
    finally:
        await arm.close()
        await credential.close()
        await bootstrap.close()


async def _control_plane(given: Settings, agents: Agents, asked: Asked, arm: Arm) -> list[Check]:
    try:
        found = await find(arm, given, asked.client_id or given.client_id, asked.subscription)
    except GatewayError as error:
        detail, _, mend = sentence(error).partition("\n")
        return [unclear("roles, policies and subscriptions", detail, mend)]
    rights = Rights(arm)
    groups: list[Callable[[], Awaitable[list[Check]]]] = [
        lambda: registry.checks(found, rights, given.registry_login_server),
        lambda: identity(found, rights),
        lambda: events.checks(found, arm, agents),
        lambda: buried.checks(found, arm),
    ]
    told: list[Check] = []
    for group in groups:
        try:
            told += await group()
        except GatewayError as error:
            detail, _, mend = sentence(error).partition("\n")
            told.append(unclear("roles, policies and subscriptions", detail, mend))
    return told


async def identity(found: Resources, rights: Rights) -> list[Check]:
    """What the app's identity may do on project, vault and storage."""
    who, app = "identity of the app", found.app
    return [
        await rights.check(who, app, AGENTS, found.project, "project"),
        await _vault(who, found, rights),
        await rights.check(who, app, BLOBS, found.storage, "storage (blobs)"),
        await rights.check(who, app, QUEUES, found.storage, "storage (queues)"),
    ]


async def _vault(who: str, found: Resources, rights: Rights) -> Check:
    """By role, or by the access policies of a vault that still has them."""
    told: Json = (found.vault or {}).get("properties") or {}
    if found.vault is None or found.app is None or told.get("enableRbacAuthorization", True):
        return await rights.check(who, found.app, SECRETS, found.vault, "vault")
    mine = [one for one in told.get("accessPolicies") or [] if one.get("objectId") == found.app]
    allowed = {str(right).lower() for one in mine for right in (one.get("permissions") or {}).get("secrets") or []}
    if {"get", "all"} & allowed:
        return ok(f"{who} on vault", "has get, by an access policy")
    mend = f"az keyvault set-policy -n {found.vault['name']} --object-id {found.app} --secret-permissions get"
    return wrong(f"{who} on vault", "no access policy lets it get secrets", mend)


def _text(told: list[Check]) -> str:
    rows = [(one.verdict, one.what, one.detail) for one in told]
    lines = columns(rows).splitlines()
    shown: list[str] = []
    for check, line in zip(told, lines, strict=True):
        shown.append(line)
        shown += [f"    {check.mend}"] if check.mend and check.verdict != "ok" else []
    count = {verdict: sum(one.verdict == verdict for one in told) for verdict in ("ok", "wrong", "cannot tell")}
    return "\n".join([*shown, ", ".join(f"{number} {verdict}" for verdict, number in count.items())])
