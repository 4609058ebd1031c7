"""Checks when the secrets that agents use expire; only their properties are read."""

from __future__ import annotations

from collections.abc import Sequence

from cli.concurrency import read_each
from cli.doctor.result import Check, failed, ok, unread
from core.agents_file.projects import by_vault
from core.agents_file.spec import Agents, AgentSpec
from core.intake.secret_check import used_secrets
from core.secret_expiry import find_expiries
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways

CHECK = "expiry of secrets"
FIX = "write a new version with a later date; its event starts the release"


async def checks(agents: Agents, gateways: Gateways) -> list[Check]:
    """One check for each version in use that expires within 30 days, else one for all; none where nothing is used."""
    found = [await _checks(specs, gateways) for specs in by_vault(agents)]
    problems = [check for checks, _ in found for check in checks]
    count = sum(count for _, count in found)
    return problems or [ok(CHECK, f"none of {count} within 30 days")][:count]


async def _checks(specs: Sequence[AgentSpec], gateways: Gateways) -> tuple[list[Check], int]:
    """What is wrong with the secrets of one vault, and how many are used."""
    vault = gateways.vault_of(specs[0].name)
    try:
        releases = await read_each((spec.name for spec in specs), gateways.state_store.get_release)
        uses = {spec.name: used_secrets(spec, release) for spec, release in zip(specs, releases, strict=True)}
        names = sorted({name for used in uses.values() for name in used})
        listed = dict(zip(names, await read_each(names, vault.list_secret_versions), strict=True))
    except GatewayError as error:
        return [unread(CHECK, error, "only the app needs to list secrets: see the checks of its identity")], 0
    now = gateways.clock.now()
    expiries = find_expiries(uses, listed, now)
    return [failed(f"secret {item.secret}", item.detail(now), FIX) for item in expiries], len(names)
