"""Asks a version the rows of a dataset, several at once, in sessions that are pinned to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.agents_file.dataset import EvaluationRow
from core.agents_file.spec import Probe
from core.evaluation import AskedRows, RowAnswer
from core.foreign_text import as_came
from core.model import Answer
from core.release.gates.answers import ProbeOutcome
from handlers.concurrency import gather_all
from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError
from handlers.gateways.interfaces import Foundry
from handlers.release_agent.prober import Prober
from handlers.release_agent.session_closer import SessionCloser

MAX_ROW_SECONDS = 60.0
"""For one answer, or for a session: as long as a probe waits where agents.yaml names no time."""
TIME_IS_UP = "the time for all rows was up"


@dataclass
class RowAsker:
    """Asks one version the rows within so many seconds; the owner of ``closer`` waits until the sessions have ended.

    ``before_end`` gets a session that answered, while it is open, once all rows are answered.
    """

    agent: str
    version: str
    rows: Sequence[EvaluationRow]
    foundry: Foundry
    clock: Clock
    closer: SessionCloser
    within: float
    before_end: Callable[[str], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self._ends = self.clock.monotonic() + self.within
        self._prober = Prober(self.agent, self.version, self.foundry, self.clock, self.closer)
        self._rest = enumerate(self.rows)
        """The rows that nobody has begun to ask."""
        self._answers: list[RowAnswer | None] = [None] * len(self.rows)
        self._problem = ""

    async def ask_all(self, rows_at_once: int) -> AskedRows:
        """The answers to all rows, or why nothing is known: a quota, the network, a permission.

        Asks in one session, and beside it in as many others as are given.
        """
        session, report = await self._prober.open_session(self._longest())
        if not session:
            return AskedRows(inconclusive=report.detail)
        others = min(rows_at_once, len(self._answers)) - 1
        try:
            await gather_all([self._ask_in(session), *(self._ask_beside() for _ in range(others))])
            if self.before_end is not None and not self._problem:
                await self.before_end(session)
        finally:
            self.closer.end(self.agent, session)
        answers = tuple(answer for answer in self._answers if answer is not None)
        return AskedRows(inconclusive=self._problem) if self._problem else AskedRows(answers)

    async def _ask_beside(self) -> None:
        """Ask in one more session; where the quota or the service gives none, the others ask all rows."""
        try:
            session = await self.foundry.open_session(self.agent, self.version, self._longest())
        except TransientError:
            return
        if isinstance(session, Answer):
            return
        try:
            await self._ask_in(session)
        finally:
            self.closer.end(self.agent, session)

    async def _ask_in(self, session: str) -> None:
        """Ask one row after another, until none is left or nothing can be known."""
        for index, row in self._rest:
            if self._problem or not self._has_time():
                return
            within = timedelta(seconds=self._longest())
            probe = Probe.model_construct(ask=row.ask, post=row.post, status=200, expect=None, within=within)
            asked = await self._prober.ask(probe, session)
            if asked.report.outcome is ProbeOutcome.PASSED and asked.answer is not None:
                self._answers[index] = RowAnswer(as_came(asked.answer.text), asked.seconds)
            elif asked.report.outcome is ProbeOutcome.FAILED and self._has_time():
                self._answers[index] = RowAnswer(None, asked.seconds, asked.report.detail)
            else:
                self._stop(f"row {index + 1}: {asked.report.detail}")

    def _longest(self) -> float:
        """Seconds for the next answer, or the next session."""
        return min(MAX_ROW_SECONDS, self._ends - self.clock.monotonic())

    def _has_time(self) -> bool:
        """False once the time for all rows is up, which says nothing about the version."""
        has_time = self.clock.monotonic() < self._ends
        if not has_time:
            self._stop(TIME_IS_UP)
        return has_time

    def _stop(self, problem: str) -> None:
        """Begin no row any more; the first problem is reported."""
        self._problem = self._problem or problem
