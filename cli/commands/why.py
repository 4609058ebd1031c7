"""``slipway why``: lists the decisions about an image or an event, from the journal, and the current state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import DONE, NOTHING_TO_DO
from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from core.agents_file.spec import AgentSpec
    from core.model import Push
    from core.state.desired import DesiredState
    from core.state.release import ReleaseState

MIN_DIGEST_DIGITS = 6
USUAL_DELAY = timedelta(days=1)
"""A release that nothing holds up has begun by then."""
HIDDEN = "***"
"""In place of a secret (handlers.redaction)."""
KEYS = (
    "at", "agent", "reason", "severity", "detail", "help", "step", "event", "repository", "tag", "digest",
    "version", "from_version", "to_version", "generation", "took_s", "since_push_s", "fingerprint",
    "container_log", "report",
)  # fmt: skip
Decision = Mapping[str, object]


def why(
    subject: Annotated[
        str, typer.Argument(help="A digest or its first digits, a tag, REPOSITORY:TAG, or an event's id.")
    ],
    since: Annotated[str, typer.Option(help="How much of the journal to read: 12h, 30d.")] = "30d",
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """List the decisions about an image or an event. Also for an event that no agent follows."""
    from cli.durations import parse_duration

    back = parse_duration(since)
    run_and_print(local, as_json, lambda context: explain(context, subject, back))


async def explain(context: CommandContext, subject: str, back: timedelta) -> CommandResult:
    """Return each decision about the subject, oldest first, and what each agent's state has of it now."""
    from cli.concurrency import read_each

    context.progress.activity = "reading the state store"
    agents = sorted(context.agents.agents)
    states = dict(zip(agents, await read_each(agents, lambda agent: _read_state(context, agent)), strict=True))
    pushes = [push for desired, release in states.values() for _, push, _ in _pushes(desired, release)]
    named = {push.digest for push in pushes if _is_about(_as_decision(push), subject)}
    journal = JournalReader(context, context.gateways.clock.now() - back)
    about = await journal.read(
        lambda decision: _is_about(decision, subject) or _is_masked(decision, named), {*_as_stored(subject), *named}
    )
    digests = named | {str(decision["digest"]) for decision in about if decision.get("digest")}
    found = await _with_same_release(journal, about, _longest_wait(context))
    now = context.gateways.clock.now()
    specs = context.agents.agents
    state = [
        entry
        for agent in agents
        for entry in (
            *_current_state(agent, *states[agent], subject, digests, now),
            *_window_state(specs[agent], states[agent][1], subject, digests, now),
        )
    ]
    if not found and not state:
        days = max(1, back.days)
        reason = "no event about it reached the app, or REGISTRY_NAME is wrong"
        text = f"nothing is known about {subject} in the last {days} days: {reason}"
        return CommandResult(text, {"decisions": [], "scores": [], "state": []}, NOTHING_TO_DO)
    decisions = [{key: decision[key] for key in KEYS if key in decision} for decision in found]
    evaluations = await _evaluations(journal, found)
    text = _text(decisions, evaluations, state)
    return CommandResult(text, {"decisions": decisions, "scores": evaluations, "state": state}, DONE)


@dataclass
class JournalReader:
    """Reads the journal since a time, a few days at once, and keeps the wanted decisions alone."""

    context: CommandContext
    since: datetime

    async def read(self, is_wanted: Callable[[Decision], bool], containing: Collection[str]) -> list[Decision]:
        """Return the wanted decisions, oldest first; each one has one of the texts of ``containing``."""
        from cli.concurrency import read_each

        self.context.progress.activity = "reading the journal"
        now, since = self.context.gateways.clock.now(), self.since.isoformat()

        async def read_day(age: str) -> list[Decision]:
            day = now - timedelta(days=int(age))
            lines = await self.context.gateways.journal.read_day(day, containing)
            return [line for line in lines if str(line.get("at", "")) >= since and is_wanted(line)]

        ages = [str(age) for age in range((now.date() - self.since.date()).days, -1, -1)]
        return unique_decisions(decision for day in await read_each(ages, read_day) for decision in day)


def unique_decisions(decisions: Iterable[Decision]) -> list[Decision]:
    """Return each decision once, oldest first: a retried append may have written a line twice."""
    unique = {repr(sorted(decision.items(), key=str)): decision for decision in decisions}
    return sorted(unique.values(), key=lambda decision: str(decision.get("at", "")))


def _as_stored(subject: str) -> set[str]:
    """Return texts of which a decision about the subject has at least one."""
    tag = subject.rpartition(":")[2]  # of REPOSITORY:TAG, and the digits of a digest
    return {subject, tag} if tag else {subject}


def _is_about(decision: Decision, subject: str) -> bool:
    digest, digits = str(decision.get("digest") or ""), subject.removeprefix("sha256:")
    if subject in (decision.get("event"), decision.get("tag"), digest):
        return True
    if subject == f"{decision.get('repository')}:{decision.get('tag')}":
        return True
    return len(digits) >= MIN_DIGEST_DIGITS and digest.removeprefix("sha256:").startswith(digits)


def _is_masked(decision: Decision, digests: set[str]) -> bool:
    """True for one of these images under a tag that held a secret: the journal masks it, the state store does not."""
    return HIDDEN in str(decision.get("tag") or "") and decision.get("digest") in digests


def _longest_wait(context: CommandContext) -> timedelta:
    """Return how long before the first decision that names its image a release may have been asked for."""
    waits = (spec.release.longest_debounce for spec in context.agents.agents.values())
    return max(waits, default=timedelta()) + USUAL_DELAY


async def _with_same_release(journal: JournalReader, about: list[Decision], longest_wait: timedelta) -> list[Decision]:
    """Add the decisions of the same releases that name no image: by an operator or a timer."""
    with_agent = [decision for decision in about if decision.get("agent")]
    generations = {(item["agent"], item["generation"]) for item in with_agent if item.get("generation")}
    versions = {(item["agent"], item["version"]) for item in with_agent if item.get("version")}

    def belongs(decision: Decision) -> bool:
        if decision.get("digest"):
            return False
        agent = decision.get("agent")
        return (agent, decision.get("generation")) in generations or (agent, decision.get("version")) in versions

    agents = {str(agent) for agent, _ in generations | versions}
    if not agents:
        return about
    later = replace(journal, since=max(journal.since, _time_of(about[0], journal.since) - longest_wait))
    return unique_decisions([*about, *await later.read(belongs, agents)])


async def _evaluations(journal: JournalReader, decisions: list[Decision]) -> list[dict[str, Any]]:
    """Return the scores of all versions of the agents of which a version was evaluated here."""
    from cli.scores import REASONS, evaluations_of

    agents = {decision.get("agent") for decision in decisions if decision.get("reason") in REASONS}
    if not agents:
        return []
    return evaluations_of(await journal.read(lambda decision: decision.get("agent") in agents, REASONS))


def _time_of(decision: Decision, default: datetime) -> datetime:
    """Return when it was recorded; a person may have written the line."""
    try:
        at = datetime.fromisoformat(str(decision["at"]))
    except ValueError:
        return default
    return at if at.tzinfo else default


async def _read_state(context: CommandContext, agent: str) -> tuple[DesiredState, ReleaseState]:
    from handlers.concurrency import gather_two

    store = context.gateways.state_store
    return await gather_two(store.get_desired(agent), store.get_release(agent))


def _pushes(desired: DesiredState, release: ReleaseState) -> list[tuple[str, Push, str]]:
    """Return the desired push, the last good one, the candidate's and those that wait, with a kind and a note."""
    from cli.durations import format_time

    good = release.last_good.push if release.last_good else None
    candidate = release.push if release.is_open else None
    note = f", {release.phase}, version {release.candidate}"
    pushes = [("desired", desired.push, ""), ("last_good", good, ""), ("candidate", candidate, note)]
    pushes += [("waiting", item.push, ", younger than release.min_push_age") for item in desired.waiting]
    if (stage := desired.stage_wait) and stage.reason == "STAGE_WAITING":
        since, until = format_time(stage.since), format_time(stage.until)
        pushes.append(("waiting", stage.push, f", good in the stage before since {since}, goes on at {until}"))
    return [(kind, push, text) for kind, push, text in pushes if push is not None]


def _current_state(
    agent: str, desired: DesiredState, release: ReleaseState, subject: str, digests: set[str], now: datetime
) -> list[dict[str, Any]]:
    """Return the agent's desired push, last good push, candidate and holds that concern the subject."""
    from cli.durations import format_time
    from core.state.holds import active

    state = [
        {"agent": agent, "kind": kind, "detail": f"{push.repository}:{push.tag} {push.digest[:19]}{note}"}
        for kind, push, note in _pushes(desired, release)
        if push.digest in digests or _is_about(_as_decision(push), subject)
    ]
    if (rejection := desired.last_rejection) and (
        rejection.push.digest in digests or _is_about(_as_decision(rejection.push), subject)
    ):
        state.append({"agent": agent, "kind": "rejected", "detail": f"{rejection.reason}: {rejection.detail}"})
    state += _rollback_state(agent, desired, subject, digests)
    for hold in active(desired, release, now):
        if hold.digest and (hold.digest in digests or _is_about({"digest": hold.digest}, subject)):
            until = f"until {format_time(hold.until)}" if hold.until else "until removed"
            detail = f"{hold.reason} by {hold.by} {until}: {hold.detail}"
            state.append({"agent": agent, "kind": "hold", "detail": detail})
    return state


def _window_state(
    spec: AgentSpec, release: ReleaseState, subject: str, digests: set[str], now: datetime
) -> list[dict[str, Any]]:
    """Return when the window opens for which the subject waits."""
    from core.release_outcome import awaits_window

    push, opening = release.push, spec.release.opens_at(now)
    if push is None or opening is None or not awaits_window(release):
        return []
    if push.digest not in digests and not _is_about(_as_decision(push), subject):
        return []
    return [{"agent": spec.name, "kind": "window", "detail": f"closed, opens {spec.release.describe(opening, now)}"}]


def _rollback_state(agent: str, desired: DesiredState, subject: str, digests: set[str]) -> list[dict[str, Any]]:
    """Return the rollback in force, where it is to the subject or away from it."""
    from core.state.rollbacks import describe

    rollback = desired.rollback
    if rollback is None:
        return []
    held = [{"digest": hold.digest} for hold in desired.holds if hold.digest and hold.since == rollback.at]
    about = [*held, *([_as_decision(rollback.push)] if rollback.push else [])]
    if not any(item["digest"] in digests or _is_about(item, subject) for item in about):
        return []
    return [{"agent": agent, "kind": "rolled_back", "detail": describe(rollback)}]


def _as_decision(push: Push) -> Decision:
    return {"digest": push.digest, "tag": push.tag, "event": push.event_id, "repository": push.repository}


def _container_log(decision: Mapping[str, Any]) -> str:
    """Return what the container of the version printed last, below a line that names it."""
    from cli.output import join_lines

    title = f"version {decision.get('version')} of {decision.get('agent')} printed:"
    return join_lines(title, *(f"  | {line}" for line in str(decision["container_log"]).split("\n")))


def _text(decisions: list[dict[str, Any]], evaluations: list[dict[str, Any]], state: list[dict[str, Any]]) -> str:
    from cli.output import columns, join_lines, meaning, subject
    from cli.scores import table

    rows = [
        (
            str(decision.get("at", ""))[:19].replace("T", " "),
            str(decision.get("agent", "no agent")),
            str(decision.get("reason", "")),
            subject(decision),
            meaning(decision),
        )
        for decision in decisions
    ]
    lines = [columns(rows)] if rows else []
    lines += [table(evaluations)] if evaluations else []
    lines += [_container_log(decision) for decision in decisions if decision.get("container_log")]
    hint = str(decisions[-1].get("help", "")) if decisions else ""
    notes = [f"  {hint}"] if hint and not hint.startswith("Nothing to do") else []
    notes += [f"now: {entry['agent']} {entry['kind'].replace('_', ' ')}: {entry['detail']}" for entry in state]
    lines += [join_lines(*notes)] if notes else []
    return "\n".join(lines)
