"""``slipway status``: shows the live version, the desired image, the release in progress, holds and pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.options import AsJson, Local, OptionalAgent
from cli.runner import CommandContext, CommandResult, run_and_print, targets_of

MAX_READ_IN_FULL = 25
"""Of more agents, Foundry is asked only for those of which the state store does not say what serves."""

if TYPE_CHECKING:
    from cli.concurrency import AgentReads
    from core.agents_file.spec import AgentSpec, KeepSpec
    from core.model import Agent, Version
    from core.state.desired import DesiredState
    from core.state.release import ReleaseState

    States = tuple[DesiredState, ReleaseState]
    Serving = tuple[Agent | None, Sequence[Version]]


def status(agent: OptionalAgent = None, local: Local = False, as_json: AsJson = False) -> None:
    """Show the live version, the release, holds and pauses. Also the number of versions and the next prune."""
    run_and_print(local, as_json, lambda context: show_status(context, agent))


async def show_status(context: CommandContext, agent: str | None) -> CommandResult:
    """Return the status of one agent or all; where Foundry does not answer, as the state store has it."""
    from cli.durations import format_time
    from cli.errors import as_json, explain
    from cli.exit_codes import DONE, SERVICE_ERROR
    from cli.output import join_lines, print_error
    from cli.release_status import with_drift
    from cli.status_text import status_text
    from core.ncrontab import Schedule

    names, now = _targets(context, agent), context.gateways.clock.now()
    next_prune = Schedule(context.settings.prune_schedule).next(now)
    reads = await _read_states(context, names)
    serving = await _read_serving(context, reads.found)
    statuses = [
        with_drift(_status(spec, desired, release, now) | _serving(spec, release, serving))
        for name, (desired, release) in reads.found.items()
        for spec in [context.agents.agents[name]]
    ]
    dry_run = " (dry run: PRUNE_DRY_RUN is set)" if context.settings.prune_dry_run else ""
    prune = f"next prune {format_time(next_prune)}{dry_run}"
    text = "\n".join([status_text(statuses, now), join_lines(*reads.notes, prune)])
    data = [status | {"next_prune": next_prune.isoformat()} for status in statuses]
    data += [{"agent": name, "error": as_json(error)} for name, error in reads.unread.items()]
    if serving.unread:
        print_error(explain(next(iter(serving.unread.values()))))
    return CommandResult(text, data, SERVICE_ERROR if serving.unread or reads.unread else DONE)


def _targets(context: CommandContext, agent: str | None) -> list[str]:
    """Return the targets to show: of an agent with stages all of them."""
    found = targets_of(agent, context.agents) if agent and "@" not in agent else []
    return found or context.select_agents(agent)


async def _read_states(context: CommandContext, names: Sequence[str]) -> AgentReads[States]:
    """Read the states of the targets; of many, what a listing does not say: it costs less than the reads it saves."""
    from cli.concurrency import AgentReads, read_agents
    from core.state.desired import DesiredState
    from core.state.release import ReleaseState
    from core.state.summary import DesiredSummary, shown_state
    from handlers.agent_states import read_state

    store = context.gateways.state_store
    if len(names) <= MAX_READ_IN_FULL:
        return await read_agents(context, names, lambda name: read_state(name, store))
    listed = await store.list_desired()

    async def read(name: str) -> States:
        release = await store.get_release(name)
        return shown_state(listed.get(name, DesiredSummary()), release) or await store.get_desired(name), release

    reads = await read_agents(context, [name for name in names if name in listed], read)
    found = {
        name: reads.found.get(name, (DesiredState(), ReleaseState())) for name in names if name not in reads.unread
    }
    return AgentReads(found, reads.unread)


async def _read_serving(context: CommandContext, states: Mapping[str, States]) -> AgentReads[Serving]:
    """Read agents and versions from Foundry: of few agents all, of many those whose state does not say what serves."""
    from cli.concurrency import MAX_WAIT, AgentReads, try_to_read_agents
    from handlers.concurrency import gather_two

    foundry, names = context.gateways.foundry, list(states)
    if len(names) > MAX_READ_IN_FULL:
        names = [name for name, state in states.items() if not _is_settled(*state)]
    missing = await _missing_agents(context, names) if len(names) > MAX_READ_IN_FULL else frozenset()
    reads = await try_to_read_agents(
        context,
        [name for name in names if name not in missing],
        lambda name: gather_two(foundry.get_agent(name), foundry.list_versions(name)),
        MAX_WAIT,
    )
    return AgentReads({**reads.found, **dict.fromkeys(missing, (None, ()))}, reads.unread)


async def _missing_agents(context: CommandContext, names: Sequence[str]) -> frozenset[str]:
    """Return which agents Foundry does not have: a list is one read for many of them; none where it cannot be read."""
    from handlers.gateways.errors import GatewayError

    try:
        return frozenset(names).difference(await context.gateways.foundry.list_agents())
    except GatewayError:
        return frozenset()  # each agent is asked, and says what is wrong


def _serving(spec: AgentSpec, release: ReleaseState, serving: AgentReads[Serving]) -> dict[str, Any]:
    """Return what Foundry said of an agent, or why it said nothing."""
    from cli.errors import as_json

    if error := serving.unread.get(spec.name):
        return {"not_read": as_json(error)}
    if spec.name not in serving.found:
        return {}
    agent, versions = serving.found[spec.name]
    return {
        **_traffic(agent, versions, release),
        "versions": len(versions),
        "version_limit_status": _version_limit_status(len(versions), spec.keep),
    }


def _status(spec: AgentSpec, desired: DesiredState, release: ReleaseState, now: datetime) -> dict[str, Any]:
    """Return the status of an agent as the state store has it."""
    from cli.release_status import release_status

    return {
        "agent": spec.name,
        **_recorded_traffic(release),
        **release_status(desired, release, spec, now),
        "versions": None,
        "version_limit": spec.keep.limit,
        "version_limit_status": None,
        "not_read": None,
    }


def _is_settled(desired: DesiredState, release: ReleaseState) -> bool:
    """True where the state store says what serves: the newest change is answered, it is live, and nothing drifted."""
    answered = desired.generation <= release.observed_generation and not release.is_open
    return answered and release.last_good is not None and not release.reported_drift


def _recorded_traffic(release: ReleaseState) -> dict[str, Any]:
    """The traffic as Slipway left it, with what it found changed since, in place of Foundry's answer."""
    from core.drift import AGENT_GONE, DISABLED, ROUTING

    drift = release.reported_drift
    is_gone = AGENT_GONE in drift
    good, routing = (None, None) if is_gone else (release.last_good, release.expected_routing)
    return {
        "live": routing.pinned if routing else None,
        "live_tag": good.push.tag if good else None,
        "live_image": f"{good.push.repository}@{good.push.digest}" if good else None,
        "live_signer": (good.signer or None) if good else None,
        "follows_latest": False if routing else None,
        "enabled": False if DISABLED in drift else None,
        "routing_changed_outside": any(name.startswith(f"{ROUTING} ") for name in drift),
    }


def _traffic(agent: Agent | None, versions: Sequence[Version], release: ReleaseState) -> dict[str, Any]:
    live = agent.live if agent else None
    live_version = next((version for version in versions if version.number == live), None)
    return {
        "live": live,
        "live_tag": _tag_of(live_version, release),
        "live_image": live_version.image if live_version else None,
        "live_signer": release.signers.get(live or ""),
        "follows_latest": agent.routing.follows_latest if agent else None,
        "enabled": agent.enabled if agent else None,
        "routing_changed_outside": bool(
            agent and release.expected_routing is not None and agent.routing != release.expected_routing
        ),
    }


def _tag_of(version: Version | None, release: ReleaseState) -> str | None:
    """Return the tag under which a version's image was pushed, where Slipway made the version."""
    from core.definition import push_of_version

    good = release.last_good
    if version is None:
        return None
    if good is not None and good.version == version.number:
        return good.push.tag
    push = push_of_version(version)
    return push.tag if push and push.tag else None


def _version_limit_status(count: int, keep: KeepSpec) -> str:
    from core.prune.retention import near_limit

    return "reached" if count >= keep.limit else "near" if near_limit(count, keep) else "ok"
