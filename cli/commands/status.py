"""``slipway status``: shows the live version, the desired image, the release in progress, holds and pauses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.options import AsJson, Local, OptionalAgent
from cli.runner import CommandContext, CommandResult, run_and_print

MAX_READ_IN_FULL = 25
"""Of more agents, Foundry is asked only for those of which the state store does not say what serves."""

if TYPE_CHECKING:
    from core.agents_file.spec import AgentSpec, KeepSpec
    from core.model import Agent, Version
    from core.state.desired import DesiredState, Hold
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
    from core.ncrontab import Schedule

    names = context.select_agents(agent)
    next_prune = Schedule(context.settings.prune_schedule).next(context.gateways.clock.now())
    few = len(names) <= MAX_READ_IN_FULL
    refused: list[GatewayError] = []
    reads = await read_agents(context, names, lambda name: _status(context, name, refused, few=few))
    statuses = list(reads.found.values())
    dry_run = " (dry run: PRUNE_DRY_RUN is set)" if context.settings.prune_dry_run else ""
    lines = [line for status in statuses for line in _lines(status)]
    text = join_lines(*lines, *reads.notes, f"next prune {format_time(next_prune)}{dry_run}")
    data = [status | {"next_prune": next_prune.isoformat()} for status in statuses]
    data += [{"agent": name, "error": str(error)} for name, error in reads.unread.items()]
    if refused:
        print_error(explain(refused[0]))
    return CommandResult(text, data, SERVICE_ERROR if refused or reads.unread else DONE)


async def _status(context: CommandContext, name: str, refused: list[GatewayError], *, few: bool) -> dict[str, Any]:
    """Return the status of an agent; where Foundry does not answer, ``refused`` gets the error."""
    from core.state.holds import active
    from handlers.concurrency import gather_two
    from handlers.gateways.errors import GatewayError
    from handlers.retry import with_retries

    state_store, foundry, now = context.gateways.state_store, context.gateways.foundry, context.gateways.clock.now()
    desired, release = await gather_two(state_store.get_desired(name), state_store.get_release(name))
    keep = context.agents.agents[name].keep
    status = {
        "agent": name,
        **_recorded_traffic(release),
        **_release(desired, release, now),
        "waiting": _waiting(desired, context.agents.agents[name]),
        **_window(context.agents.agents[name], now),
        "holds": [_hold(hold) for hold in active(desired, release, now)],
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
        "reason": _reason(release),
        "detail": release.detail,
        "candidate": release.candidate if release.is_open else None,
        "not_before": waits_until.isoformat() if waits_until else None,
        "rejected": _rejection(desired),
        **_rollback(desired, release, now),
        "pause": f"by {pause.by}{until}: {pause.why}" if pause else None,
    }


def _reason(release: ReleaseState) -> str:
    from core.release_outcome import awaits_approval, awaits_window

    if awaits_window(release):
        return "WINDOW_CLOSED"
    return "APPROVAL_WAITING" if awaits_approval(release) else str(release.reason)


def _window(spec: AgentSpec, now: datetime) -> dict[str, str | None]:
    """Return when ``release.windows`` opens; None while it is open, and without windows."""
    opening = spec.release.opens_at(now)
    if opening is None:
        return {"window_opens_at": None, "window_opens": None}
    return {"window_opens_at": opening.isoformat(), "window_opens": spec.release.describe(opening, now)}


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
    is_over = status["phase"] == "ended" or status["reason"] in ("APPROVAL_WAITING", "WINDOW_CLOSED")
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
    notes += [f"  window closed, opens {status['window_opens']}"] if status["window_opens"] else []
    notes += [f"  not before {status['not_before']}"] if status["not_before"] else []
    notes += ["  routing was changed outside Slipway: DRIFT"] if status["routing_changed_outside"] else []
    notes += [f"  as the state store has it; {status['not_read']}"] if "not_read" in status else []
    notes += ["  the agent is disabled"] if status["enabled"] is False else []
    return [f"{status['agent']}: " + ", ".join(part for part in parts if part), *notes]
