"""``slipway status``: shows the live version, the desired image, the release in progress, holds and pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.options import AsJson, Local, OptionalAgent
from cli.runner import CommandContext, CommandResult, run_and_print

MAX_READ_IN_FULL = 25
"""Of more agents, Foundry is asked only for those of which the state store does not say what serves."""

if TYPE_CHECKING:
    from cli.concurrency import AgentReads
    from core.agents_file.spec import AgentSpec, KeepSpec
    from core.model import Agent, Version
    from core.state.desired import DesiredState, Hold
    from core.state.release import ReleaseState

    States = tuple[DesiredState, ReleaseState]
    Serving = tuple[Agent | None, Sequence[Version]]


def status(agent: OptionalAgent = None, local: Local = False, as_json: AsJson = False) -> None:
    """Show the live version, the release, holds and pauses. Also the number of versions and the next prune."""
    run_and_print(local, as_json, lambda context: show_status(context, agent))


async def show_status(context: CommandContext, agent: str | None) -> CommandResult:
    """Return the status of one agent or all; where Foundry does not answer, as the state store has it."""
    from cli.concurrency import read_agents
    from cli.durations import format_time
    from cli.errors import explain
    from cli.exit_codes import DONE, SERVICE_ERROR
    from cli.output import join_lines, print_error
    from core.ncrontab import Schedule
    from handlers.concurrency import gather_two

    names, store, now = context.select_agents(agent), context.gateways.state_store, context.gateways.clock.now()
    next_prune = Schedule(context.settings.prune_schedule).next(now)
    reads = await read_agents(context, names, lambda name: gather_two(store.get_desired(name), store.get_release(name)))
    serving = await _read_serving(context, reads.found)
    statuses = [
        _status(spec := context.agents.agents[name], desired, release, now) | _serving(spec, release, serving)
        for name, (desired, release) in reads.found.items()
    ]
    dry_run = " (dry run: PRUNE_DRY_RUN is set)" if context.settings.prune_dry_run else ""
    lines = [line for status in statuses for line in _lines(status)]
    text = join_lines(*lines, *reads.notes, f"next prune {format_time(next_prune)}{dry_run}")
    data = [status | {"next_prune": next_prune.isoformat()} for status in statuses]
    data += [{"agent": name, "error": str(error)} for name, error in reads.unread.items()]
    if serving.unread:
        print_error(explain(next(iter(serving.unread.values()))))
    return CommandResult(text, data, SERVICE_ERROR if serving.unread or reads.unread else DONE)


async def _read_serving(context: CommandContext, states: Mapping[str, States]) -> AgentReads[Serving]:
    """Read agents and versions from Foundry: of few agents all, of many those whose state does not say what serves."""
    from cli.concurrency import try_to_read_agents
    from handlers.concurrency import gather_two

    few, foundry = len(states) <= MAX_READ_IN_FULL, context.gateways.foundry
    return await try_to_read_agents(
        context,
        [name for name, state in states.items() if few or not _is_settled(*state)],
        lambda name: gather_two(foundry.get_agent(name), foundry.list_versions(name)),
    )


def _serving(spec: AgentSpec, release: ReleaseState, serving: AgentReads[Serving]) -> dict[str, Any]:
    """Return what Foundry said of an agent, or why it said nothing."""
    if error := serving.unread.get(spec.name):
        return {"not_read": str(error)}
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
    from core.state.holds import active

    return {
        "agent": spec.name,
        **_recorded_traffic(release),
        **_release(desired, release, now),
        "waiting": _waiting(desired, spec),
        "holds": [_hold(hold) for hold in active(desired, release, now)],
        "versions": None,
        "version_limit": spec.keep.limit,
        "version_limit_status": None,
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
        "live_image": live_version.image if live_version else None,
        "follows_latest": agent.routing.follows_latest if agent else None,
        "enabled": agent.enabled if agent else None,
        "routing_changed_outside": bool(
            agent and release.expected_routing is not None and agent.routing != release.expected_routing
        ),
    }


def _release(desired: DesiredState, release: ReleaseState, now: datetime) -> dict[str, Any]:
    from cli.durations import format_time
    from core.release_outcome import awaits_approval

    pause = desired.pause if desired.pause and desired.pause.is_active(now) else None
    until = f" until {format_time(pause.until)}" if pause and pause.until else ""
    waits_until = (
        desired.not_before
        if desired.not_before and desired.generation > release.observed_generation and desired.not_before > now
        else None
    )
    return {
        "desired": desired.push.tag if desired.push else None,
        "digest": desired.push.digest if desired.push else None,
        "phase": str(release.phase),
        "reason": "APPROVAL_WAITING" if awaits_approval(release) else str(release.reason),
        "detail": release.detail,
        "candidate": release.candidate if release.is_open else None,
        "not_before": waits_until.isoformat() if waits_until else None,
        "rejected": _rejection(desired),
        **_rollback(desired, release, now),
        "pause": f"by {pause.by}{until}: {pause.why}" if pause else None,
    }


def _waiting(desired: DesiredState, spec: AgentSpec) -> list[dict[str, str]]:
    """Return the pushes that are younger than ``min_push_age``, newest first, and when each is old enough."""
    from core.waits import old_enough_at

    return [
        {"tag": item.push.tag, "digest": item.push.digest, "until": old_enough_at(item, spec).isoformat()}
        for item in desired.waiting
    ]


def _rejection(desired: DesiredState) -> str | None:
    rejection = desired.last_rejection
    if rejection is None:
        return None
    push = rejection.push
    return f"{rejection.reason} {push.repository}:{push.tag} {push.digest[:19]}: {rejection.detail}"


def _rollback(desired: DesiredState, release: ReleaseState, now: datetime) -> dict[str, str | None]:
    from cli.durations import format_age
    from core.state.rollbacks import is_done

    rollback = desired.rollback
    if rollback is None:
        return {"rolled_back": None, "waits_for_rollback": None}
    age = f" {format_age(now - rollback.at)}" if rollback.at else ""
    done = "" if is_done(rollback, release) else " (not finished)"
    waits = f"agents.yaml, deployed {format_age(now - rollback.config_at)}" if rollback.config_at else None
    text = f"to v{rollback.version} by {rollback.by or 'somebody'}{age}{done}: {rollback.why}"
    return {"rolled_back": text, "waits_for_rollback": waits}


def _hold(hold: Hold) -> str:
    from cli.durations import format_time

    until = f"until {format_time(hold.until)}" if hold.until else "until removed"
    by = f" by {hold.by}" if hold.by else ""
    return f"{hold.digest or hold.fingerprint} {hold.reason}{by}, {until}: {hold.detail}"


def _version_limit_status(count: int, keep: KeepSpec) -> str:
    from core.prune.retention import near_limit

    return "reached" if count >= keep.limit else "near" if near_limit(count, keep) else "ok"


def _lines(status: dict[str, Any]) -> list[str]:
    live = f"version {status['live']} live" if status["live"] else "no version live"
    repository, _, digest = str(status["live_image"] or "").partition("@")
    image = f" ({repository.rpartition('/')[2]}@{digest[:19]})" if digest else ""
    is_over = status["phase"] == "ended" or status["reason"] == "APPROVAL_WAITING"
    limits = {"near": ", near the limit", "reached": ", limit reached"}
    limit = limits.get(status["version_limit_status"], "")
    parts = [
        f"{live}{image}",
        f"desired {status['desired'] or 'none'}",
        status["reason"] if is_over else status["phase"],
        f"candidate version {status['candidate']}" if status["candidate"] else "",
        f"{status['versions']} of {status['version_limit']} versions{limit}" if status["versions"] is not None else "",
    ]
    notes = [f"  hold {hold}" for hold in status["holds"]]
    notes += [f"  last push rejected: {status['rejected']}"] if status["rejected"] else []
    notes += [f"  rolled back {status['rolled_back']}"] if status["rolled_back"] else []
    waits = "waits for a newer push or slipway retry"
    notes += [f"  ROLLED_BACK_BY: {status['waits_for_rollback']}, {waits}"] if status["waits_for_rollback"] else []
    notes += [f"  paused {status['pause']}"] if status["pause"] else []
    notes += [f"  {push['tag']} waits until {push['until'][:19]} (release.min_push_age)" for push in status["waiting"]]
    notes += [f"  not before {status['not_before']}"] if status["not_before"] else []
    notes += ["  routing was changed outside Slipway: DRIFT"] if status["routing_changed_outside"] else []
    notes += [f"  as the state store has it; {status['not_read']}"] if "not_read" in status else []
    notes += ["  the agent is disabled"] if status["enabled"] is False else []
    return [f"{status['agent']}: " + ", ".join(part for part in parts if part), *notes]
