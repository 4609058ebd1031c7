"""``--watch``: prints a release's decisions as the journal receives them, until the release ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cli.concurrency import read_each
from cli.exit_codes import BAD_RESULT, DONE
from cli.output import columns, join_lines, meaning, print_json, print_text, subject
from cli.runner import CommandContext, CommandResult
from core.reasons import Reason
from core.release.gates import window
from core.release.inputs import DecisionInput, rollback_version
from core.release_outcome import awaits_approval, awaits_window
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.agent_states import read_state

POLL_SECONDS = 1.0
MAX_LAST_POLLS = 5
"""The app journals the last decisions of a release after it has stored the end; a pause may be journalled long ago."""
SUCCESSES = frozenset(
    {
        *(Reason.LIVE, Reason.CHECK_INCONCLUSIVE, Reason.ALREADY_LIVE),
        *(Reason.APPROVAL_WAITING, Reason.WINDOW_CLOSED, Reason.WOULD_RELEASE),
    }
)
"""A pipeline may continue after these: the version is live, or the agent spec asks for no more."""


async def watch(
    context: CommandContext,
    generations: Mapping[str, int],
    since: datetime,
    as_json: bool,
    position: Mapping[str, int] | None = None,
) -> CommandResult:
    """Return when each agent's release has ended or waits for an operator or its window.

    ``position``: where the journal ended at ``since``; without it the whole day is read once.
    """
    printer, ends = DecisionPrinter(context, generations, since, as_json, position or {}), dict[str, str]()
    store = context.gateways.state_store
    context.progress.muted = True
    while waited := [agent for agent in generations if agent not in ends]:
        states = await read_each(waited, lambda agent: read_state(agent, store))
        await printer.print_new()
        now = context.gateways.clock.now()
        for agent, (desired, release) in zip(waited, states, strict=True):
            if end := _end(desired, release, generations[agent], now):
                ends[agent] = end
        if len(ends) < len(generations):
            await context.gateways.clock.sleep(POLL_SECONDS)
    for _ in range(MAX_LAST_POLLS):
        await printer.print_new()
        if all(printer.has_printed(agent, end) for agent, end in ends.items()):
            break
        await context.gateways.clock.sleep(POLL_SECONDS)
    code = DONE if SUCCESSES.issuperset(ends.values()) else BAD_RESULT
    return CommandResult(join_lines(*(f"{agent}: {end}" for agent, end in ends.items())), ends, code)


def _end(desired: DesiredState, release: ReleaseState, generation: int, now: datetime) -> str | None:
    """Return how the release ended or what it waits for; None while it runs."""
    if release.observed_generation >= generation and not release.is_open and release.pending_write is None:
        return release.reason
    approved = desired.approval is not None and desired.approval.version == release.candidate
    if awaits_approval(release) and not approved:
        return Reason.APPROVAL_WAITING.value
    is_closed = awaits_window(release) and release.resumes_at is not None and now < release.resumes_at
    is_let_through = window.is_let_through(DecisionInput(desired, release))
    if release.observed_generation >= generation and is_closed and not is_let_through:
        return Reason.WINDOW_CLOSED.value
    if desired.pause is not None and desired.pause.is_active(now) and rollback_version(desired) is None:
        return Reason.PAUSED.value
    return None


@dataclass
class DecisionPrinter:
    """Prints each decision about the agents once."""

    context: CommandContext
    agents: Mapping[str, int]
    since: datetime
    as_json: bool
    _position: Mapping[str, int]
    _printed: set[str] = field(default_factory=set)
    _reasons: set[tuple[str, str]] = field(default_factory=set)

    async def print_new(self) -> None:
        """Print what the journal has received since; around midnight it is split over two days."""
        now = self.context.gateways.clock.now()
        earlier = now - timedelta(seconds=5)
        days = {self.since.date(): self.since, now.date(): now, earlier.date(): earlier}
        for day in sorted(days):
            new = await self.context.gateways.journal.read_new(days[day], self._position)
            self._position = new.position
            for decision in new.lines:
                is_ours = decision.get("agent") in self.agents and str(decision.get("at", "")) >= self.since.isoformat()
                key = json.dumps(decision, sort_keys=True) if is_ours else ""
                if key and key not in self._printed:  # a retried append may have written a line twice
                    self._printed.add(key)
                    self._reasons.add((str(decision["agent"]), str(decision.get("reason"))))
                    self._print(decision)

    def has_printed(self, agent: str, reason: str) -> bool:
        """True once a decision with the reason was printed for the agent."""
        return (agent, reason) in self._reasons

    def _print(self, decision: Mapping[str, object]) -> None:
        if self.as_json:
            print_json(decision)
            return
        at, reason = str(decision["at"])[11:19], str(decision["reason"]).ljust(18)
        text = str(decision.get("detail") or meaning(decision))
        print_text(columns([(at, str(decision["agent"]), reason, subject(decision).ljust(10), text)]))
