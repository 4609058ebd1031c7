"""Checks when the secrets that agents use expire; only their properties are read."""

from __future__ import annotations

from cli.concurrency import read_each
from cli.doctor.result import Check, failed, ok, unread
from core.agents_file.spec import Agents
from core.intake.secret_check import used_secrets
from core.secret_expiry import find_expiries
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways

CHECK = "expiry of secrets"
FIX = "write a new version with a later date; its event starts the release"


async def checks(agents: Agents, gateways: Gateways) -> list[Check]:
    """One check for each version in use that expires within 30 days, else one for all; none where nothing is used."""
    specs = list(agents.agents.values())
    try:
        releases = await read_each((spec.name for spec in specs), gateways.state_store.get_release)
        uses = {spec.name: used_secrets(spec, release) for spec, release in zip(specs, releases, strict=True)}
        names = sorted({name for used in uses.values() for name in used})
        listed = dict(zip(names, await read_each(names, gateways.key_vault.list_secret_versions), strict=True))
    except GatewayError as error:
        return [unread(CHECK, error, "only the app needs to list secrets: see the checks of its identity")]
    now = gateways.clock.now()
    found = [failed(f"secret {item.secret}", item.detail(now), FIX) for item in find_expiries(uses, listed, now)]
    return found or [ok(CHECK, f"none of {len(names)} within 30 days")][: len(names)]
