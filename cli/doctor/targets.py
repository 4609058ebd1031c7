"""Compares, for each agent, what should run with what serves; repeats what ``slipway status`` knows of its release."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cli.concurrency import read_each
from cli.doctor.result import MAX_ANSWER_SECONDS, Check, failed, ok, unknown, words
from cli.durations import format_age
from cli.release_status import QUEUED, release_status
from core.agents_file.spec import Agents, AgentSpec
from core.model import Agent
from core.reasons import Reason
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.agent_states import AgentStates
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways

MAX_QUEUED = timedelta(minutes=10)
"""A message that the app takes begins its release within seconds."""


async def checks(agents: Agents, states: AgentStates, gateways: Gateways) -> list[Check]:
    """Check each agent; one that cannot be read does not stop the others."""
    names = sorted(agents.agents)
    results = await read_each(names, lambda name: _checks(agents.agents[name], states, gateways))
    return [replace(check, agent=name) for name, checks in zip(names, results, strict=True) for check in checks]


async def _checks(spec: AgentSpec, states: AgentStates, gateways: Gateways) -> list[Check]:
    name = spec.name
    try:
        desired, release = await states.get(name)
    except GatewayError as error:
        return [unknown(f"{name}: release", *words(error))]
    now = gateways.clock.now()
    status = release_status(desired, release, spec, now)
    results = [_release(name, status, now), *_pause(name, status, now)]
    try:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            agent = await gateways.foundry.get_agent(name)
    except GatewayError as error:
        return [*results, unknown(f"{name}: traffic", *words(error))]
    except TimeoutError:
        return [*results, unknown(f"{name}: traffic", f"Foundry does not answer within {MAX_ANSWER_SECONDS:.0f} s")]
    return [*results, *_traffic(name, agent, desired, release)]


def _release(name: str, status: dict[str, Any], now: datetime) -> Check:
    """Check the state of the newest release, with its reason code and age."""
    is_reason = status["state"] in Reason.__members__
    found = _release_check(name, status, now)
    return replace(found, reason=status["state"] if is_reason else None, age_s=status["age_s"])


def _release_check(name: str, status: dict[str, Any], now: datetime) -> Check:
    check, state, tag = f"{name}: release", status["state"], status["state_tag"]
    since = datetime.fromisoformat(status["since"]) if status["since"] else None
    age = f" {format_age(now - since)}" if since else ""
    found = f"{state}{age}{f', {tag}' if tag else ''}"
    known = Reason.__members__.get(state)
    is_problem = known is not None and (known.severity != "info" or known is Reason.PAUSED)
    if is_problem and known is not Reason.CHECK_INCONCLUSIVE:  # it stays live
        detail = f"{found}: {status['detail']}" if status["detail"] and status["reason"] == state else found
        return failed(check, detail, status["remedy"] or status["next"] or f"slipway why {name}")
    if state == QUEUED and since is not None and now - since > MAX_QUEUED:
        return failed(check, f"{found}: no message of it was taken", f"slipway retry {name}")
    return ok(check, found)


def _pause(name: str, status: dict[str, Any], now: datetime) -> list[Check]:
    pause = status["pause"]
    if not pause or status["state"] == Reason.PAUSED:
        return []
    age = format_age(now - datetime.fromisoformat(pause["since"]))
    found = failed(f"{name}: pause", f"paused by {pause['by']} {age}: {pause['why']}", f"slipway resume {name}")
    return [replace(found, reason=Reason.PAUSED.value, age_s=pause["age_s"])]


def _traffic(name: str, agent: Agent | None, desired: DesiredState, release: ReleaseState) -> Iterable[Check]:
    """Compare the routing with the one that Slipway left, and the live image with the desired one."""
    check, good, retry = f"{name}: traffic", release.last_good, f"slipway retry {name}"
    if agent is None:
        if good is not None:
            yield failed(check, "the agent does not exist in Foundry any more", retry)
        return
    if not agent.enabled:
        yield failed(check, "the agent is disabled in Foundry", f"enable it in Foundry, then {retry}")
    expected = release.expected_routing
    if expected is not None and agent.routing != expected:
        moved = f"{_to(agent.live)} instead of {_to(expected.pinned)}: somebody else moved it"
        yield failed(check, moved, retry)
    elif good is not None and desired.push is not None and agent.live == good.version:
        serves = f"version {agent.live} ({good.push.tag})"
        is_desired = good.push.digest == desired.push.digest
        yield ok(check, f"{serves}, as desired" if is_desired else f"{serves}; {desired.push.tag} is desired")
    else:
        yield ok(check, _to(agent.live))


def _to(version: str | None) -> str:
    return f"version {version} serves" if version else "no single version serves"
