"""``slipway status``: shows the live version, the desired image, the release in progress, holds and pauses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.options import AsJson, Local, OptionalAgent
from cli.runner import CommandContext, CommandResult, run_and_print

MAX_READ_IN_FULL = 25
"""Of more agents, Foundry is asked only for those of which the state store does not say what serves."""

if TYPE_CHECKING:
    from core.agents_file.spec import KeepSpec
    from core.model import Agent, Version
    from core.state.desired import DesiredState
    from core.state.release import ReleaseState
    from handlers.gateways.errors import GatewayError


def status(agent: OptionalAgent = None, local: Local = False, as_json: AsJson = False) -> None:
    """Show the live version, the release, holds and pauses. Also the number of versions and the next prune."""
    run_and_print(local, as_json, lambda context: show_status(context, agent))


async def show_status(context: CommandContext, agent: str | None) -> CommandResult:
    """Return the status of one agent or all."""
    from cli.concurrency import read_agents
    from cli.durations import format_time
    from cli.errors import explain
    from cli.exit_codes import DONE, SERVICE_ERROR
    from cli.output import join_lines, print_error
    from cli.status_text import status_text
    from core.ncrontab import Schedule

    names = context.select_agents(agent)
    now = context.gateways.clock.now()
    next_prune = Schedule(context.settings.prune_schedule).next(now)
    few = len(names) <= MAX_READ_IN_FULL
    refused: list[GatewayError] = []
    reads = await read_agents(context, names, lambda name: _status(context, name, refused, few=few))
    statuses = list(reads.found.values())
    dry_run = " (dry run: PRUNE_DRY_RUN is set)" if context.settings.prune_dry_run else ""
    prune = f"next prune {format_time(next_prune)}{dry_run}"
    text = "\n".join([status_text(statuses, now), join_lines(*reads.notes, prune)])
    data = [status | {"next_prune": next_prune.isoformat()} for status in statuses]
    data += [{"agent": name, "error": str(error)} for name, error in reads.unread.items()]
    if refused:
        print_error(explain(refused[0]))
    return CommandResult(text, data, SERVICE_ERROR if refused or reads.unread else DONE)


async def _status(context: CommandContext, name: str, refused: list[GatewayError], *, few: bool) -> dict[str, Any]:
    """Return the status of an agent; where Foundry does not answer, ``refused`` gets the error."""
    from cli.release_status import release_status
    from handlers.concurrency import gather_two
    from handlers.gateways.errors import GatewayError
    from handlers.retry import with_retries

    state_store, foundry, now = context.gateways.state_store, context.gateways.foundry, context.gateways.clock.now()
    desired, release = await gather_two(state_store.get_desired(name), state_store.get_release(name))
    keep = context.agents.agents[name].keep
    status = {
        "agent": name,
        **_recorded_traffic(release),
        **release_status(name, desired, release, context.agents.agents[name], now),
        "versions": None,
        "version_limit": keep.limit,
        "version_limit_status": None,
    }
    if not few and _is_settled(desired, release):
        return status
    try:
        agent, versions = await with_retries(
            context.gateways.clock,
            lambda: gather_two(foundry.get_agent(name), foundry.list_versions(name)),
            max_tries=1,
        )
    except GatewayError as error:
        refused.append(error)
        return status | {"not_read": str(error)}
    limit_status = _version_limit_status(len(versions), keep)
    return status | {
        **_traffic(agent, versions, release),
        "versions": len(versions),
        "version_limit_status": limit_status,
    }


def _is_settled(desired: DesiredState, release: ReleaseState) -> bool:
    """True where the state store says what serves: the newest change is answered, it is live, and nothing drifted."""
    answered = desired.generation <= release.observed_generation and not release.is_open
    return answered and release.last_good is not None and not release.reported_drift


def _recorded_traffic(release: ReleaseState) -> dict[str, Any]:
    """The traffic as Slipway left it, in place of Foundry's answer."""
    good = release.last_good
    return {
        "live": release.expected_routing.pinned if release.expected_routing else None,
        "live_tag": good.push.tag if good else None,
        "live_image": f"{good.push.repository}@{good.push.digest}" if good else None,
        "follows_latest": False if release.expected_routing else None,
        "enabled": None,
        "routing_changed_outside": bool(release.reported_drift),
    }


def _traffic(agent: Agent | None, versions: Sequence[Version], release: ReleaseState) -> dict[str, Any]:
    live = agent.live if agent else None
    live_version = next((version for version in versions if version.number == live), None)
    return {
        "live": live,
        "live_tag": _tag_of(live_version, release),
        "live_image": live_version.image if live_version else None,
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
