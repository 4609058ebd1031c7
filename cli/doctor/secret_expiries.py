"""Checks when the secrets that agents use expire; only their properties are read."""

from __future__ import annotations

from collections.abc import Sequence

from cli.concurrency import read_each
from cli.doctor.result import Check, failed, ok, unread
from core.agents_file.projects import by_vault
from core.agents_file.spec import Agents, AgentSpec
from core.intake.secret_check import SecretUses
from core.secret_expiry import find_expiries
from handlers.agent_states import AgentStates
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways

CHECK = "expiry of secrets"
FIX = "write a new version with a later date; its event starts the release"


async def checks(agents: Agents, states: AgentStates, gateways: Gateways) -> list[Check]:
    """One check for each version in use that expires within 30 days, else one for all; none where nothing is used."""
    found = [await _checks(specs, states, gateways) for specs in by_vault(agents)]
    problems = [check for checks, _ in found for check in checks]
    count = sum(count for _, count in found)
    return problems or [ok(CHECK, f"none of {count} within 30 days")][:count]


async def _checks(specs: Sequence[AgentSpec], states: AgentStates, gateways: Gateways) -> tuple[list[Check], int]:
    """What is wrong with the secrets of one vault, and how many are used."""
    vault = gateways.vault_of(specs[0].name)
    try:
        found = await read_each((spec.name for spec in specs), states.get)
        uses = SecretUses.of(specs, [state.release for state in found])
        listed = dict(zip(uses.names, await read_each(uses.names, vault.list_secret_versions), strict=True))
    except GatewayError as error:
        return [unread(CHECK, error, "only the app needs to list secrets: see the checks of its identity")], 0
    now = gateways.clock.now()
    expiries = find_expiries(uses.of_targets, listed, now)
    return [failed(f"secret {item.secret}", item.detail(now), FIX) for item in expiries], len(uses.names)
