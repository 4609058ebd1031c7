"""``slipway why``: lists the decisions about an image, an event or an agent, and the current state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from cli.exit_codes import DONE, NOTHING_TO_DO, UsageError
from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print, targets_of, unknown_agent
from cli.why_problems import open_problems, with_message

USUAL_DELAY = timedelta(days=1)
"""A release that nothing holds up has begun by then."""
HIDDEN = "***"
"""In place of a secret (handlers.redaction)."""
KEYS = (
    "at", "agent", "reason", "severity", "detail", "help", "step", "event", "repository", "tag", "digest",
    "version", "signer", "from_version", "to_version", "generation", "took_s", "since_push_s", "fingerprint",
    "container_log", "report",
)  # fmt: skip
Decision = Mapping[str, object]


def why(
    subject: Annotated[
        str | None,
        typer.Argument(help="A digest or its first digits, a tag, REPOSITORY:TAG, an event's id, or an agent."),
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only what is about this agent of agents.yaml.")] = None,
    since: Annotated[str, typer.Option(help="How much of the journal to read: 12h, 30d.")] = "30d",
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """List the decisions about an image, an event or an agent. Also for an event that no agent follows."""
    from cli.durations import parse_duration

    named = subject or agent
    if not named:
        raise UsageError("name a digest, a tag, REPOSITORY:TAG, an event's id or an agent")
    back = parse_duration(since)
    run_and_print(local, as_json, lambda context: explain(context, named, back, agent))


async def explain(context: CommandContext, subject: str, back: timedelta, agent: str | None = None) -> CommandResult:
    """Return each decision about the subject, oldest first, and what each agent's state has of it now."""
    from cli.concurrency import read_each
    from cli.why_state import Subject, current_state
    from cli.why_text import why_text
    from handlers.agent_states import read_state

    context.progress.activity = "reading the state store"
    specs = context.agents.agents
    names = context.select_agents(agent or (subject if subject in specs else None))
    store = context.gateways.state_store
    states = dict(zip(names, await read_each(names, lambda name: read_state(name, store)), strict=True))
    asked = Subject(subject, specs[subject].repository if subject in specs else "").with_pushes(states)
    journal, now = JournalReader(context, context.gateways.clock.now() - back), context.gateways.clock.now()
    about = [
        with_message(decision)
        for decision in await journal.read(
            lambda decision: asked.is_about(with_message(decision)) or _is_masked(decision, asked.digests),
            {*asked.as_stored, *asked.digests},
        )
    ]
    asked = asked.with_digests(str(decision["digest"]) for decision in about if decision.get("digest"))
    found = await _with_same_release(journal, about, _longest_wait(context))
    found = [decision for decision in found if agent is None or decision.get("agent", agent) == agent]
    state = [entry for name in names for entry in current_state(specs[name], *states[name], asked, now)]
    if not found and not state:
        if subject not in specs and targets_of(subject, context.agents):
            raise unknown_agent(subject, context.agents)
        text = (
            f"nothing is known about {subject} in the last {max(1, back.days)} days: {await _where_it_may_be(context)}"
        )
        return CommandResult(text, {"decisions": [], "scores": [], "state": [], "problems": []}, NOTHING_TO_DO)
    decisions = [{key: decision[key] for key in KEYS if key in decision} for decision in found]
    paused = {name for name, (desired, _) in states.items() if desired.pause and desired.pause.is_active(now)}
    evaluations, problems = await _evaluations(journal, found), open_problems(decisions, paused)
    data = {"decisions": decisions, "scores": evaluations, "state": state, "problems": problems}
    return CommandResult(why_text(data), data, DONE)


async def _where_it_may_be(context: CommandContext) -> str:
    """Return why the journal may know nothing: the event waits, or never came."""
    from handlers.gateways.errors import GatewayError

    never = "no event about it reached the app, or REGISTRY_NAME is wrong; slipway doctor checks both"
    try:
        waiting = await context.gateways.release_queue.count_messages("events")
    except GatewayError:
        return never
    return f"{waiting} events wait in the queue, or are tried again within a minute; or {never}" if waiting else never


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


def _is_masked(decision: Decision, digests: Collection[str]) -> bool:
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
    from cli.durations import time_with_zone

    return time_with_zone(str(decision["at"])) or default
