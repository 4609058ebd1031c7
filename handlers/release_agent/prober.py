"""Asks an agent the probes of its spec, each until it is answered, its time is up, or asking again is useless."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from core.agents_file.spec import Probe
from core.model import Answer
from core.release.gates.answers import (
    Judgement,
    ProbeOutcome,
    ProbeReport,
    Verdict,
    judge_answer,
    judge_refusal,
    may_ask_again,
    report_at_timeout,
)
from handlers.gateways.clock import Clock
from handlers.gateways.errors import TransientError
from handlers.gateways.interfaces import Foundry
from handlers.redaction import open_words
from handlers.release_agent.container_log import read_container_log
from handlers.release_agent.session_closer import SessionCloser
from handlers.retry import Backoff

PAUSES = Backoff(first=0.5, longest=5.0)
"""A container that has just become active may need some time to come up."""
MAX_OVERSLEEP_SECONDS = 5.0
"""A timeout missed by more than this is ours: the process stood still, the agent did not."""


Judge = Callable[[bool], Judgement]
"""Judges the last answer once more, with words of others where the argument is True."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one probe."""

    report: ProbeReport
    answer: Answer | None = field(repr=False)
    """The last answer; None where none came."""
    seconds: float
    """How long that answer took, without those before it."""


class Prober:
    """Asks one version of an agent, and ends the sessions that it opens or that a question opens.

    With a ``closer``, its owner waits for the ends; without one the prober does. A report shows codes and words of
    others where ``words_may_be_shown``, which is asked only before a report that is not PASSED. With ``reads_log`` the
    report of a failure has what the container printed last, read before its session ends.
    """

    def __init__(
        self,
        agent: str,
        version: str,
        foundry: Foundry,
        clock: Clock,
        closer: SessionCloser | None = None,
        words_may_be_shown: Callable[[], Awaitable[bool]] | None = None,
        *,
        reads_log: bool = False,
    ) -> None:
        self._agent = agent
        self._version = version
        self._foundry = foundry
        self._clock = clock
        self._closer = closer or SessionCloser(foundry)
        self._waits = closer is None
        self._words_may_be_shown = words_may_be_shown
        self._reads_log = reads_log
        self._last_session = ""
        """The session of the last question, where it is still needed for its log."""

    async def verify(self, probes: tuple[Probe, ...]) -> ProbeReport:
        """Ask in a session that is pinned to the version."""
        session = ""
        try:
            session, report = await self.open_session(max(probe.within.total_seconds() for probe in probes))
            report = await self._ask_all(probes, session) if session else report
            return await self._with_log(report, session)
        finally:
            if session:
                self._closer.end(self._agent, session)
            await self._end_sessions()

    async def open_session(self, within: float) -> tuple[str, ProbeReport]:
        """A session on the version, which the caller ends; or an empty id, and why there is none."""
        opened = ""

        async def open_session(within: float) -> Judge:
            nonlocal opened
            session = await self._foundry.open_session(self._agent, self._version, within)
            if isinstance(session, Answer):
                return partial(_judge_no_session, session)
            opened = session
            return lambda _: Judgement(Verdict.PASSED)

        report = await self._until(open_session, within)
        return opened, report

    async def check(self, probes: tuple[Probe, ...]) -> ProbeReport:
        """Ask the version that has the traffic."""
        try:
            report = await self._ask_all(probes, None)
            return await self._with_log(report, self._last_session)
        finally:
            await self._end_sessions()

    async def _with_log(self, report: ProbeReport, session: str) -> ProbeReport:
        if not (self._reads_log and session and report.outcome is ProbeOutcome.FAILED):
            return report
        shown = self._words_may_be_shown
        return replace(report, log=await read_container_log(self._foundry, self._agent, self._version, session, shown))

    def _session_opened(self, session: str) -> None:
        """A question opened this session: it is ended at once, unless its log may be needed."""
        ended = self._last_session if self._reads_log else session
        self._last_session = session if self._reads_log else ""
        if ended:
            self._closer.end(self._agent, ended)

    async def _end_sessions(self) -> None:
        self._session_opened("")
        if self._waits:
            await self._closer.wait()

    async def _ask_all(self, probes: tuple[Probe, ...], session: str | None) -> ProbeReport:
        for number, probe in enumerate(probes, 1):
            report = (await self.ask(probe, session)).report
            if report.outcome is not ProbeOutcome.PASSED:
                prefix = f"question {number} of {len(probes)}: " if len(probes) > 1 else ""
                # a version that answered the first question is up
                swapped_in = report.still_starting and number > 1
                outcome = ProbeOutcome.INCONCLUSIVE if swapped_in else report.outcome
                return ProbeReport(outcome, prefix + report.detail, report.still_starting)
        return ProbeReport(ProbeOutcome.PASSED)

    async def ask(self, probe: Probe, session: str | None) -> Asked:
        """Ask one probe until an answer decides, or its time is up."""
        last: Answer | None = None
        seconds = 0.0

        async def ask(within: float) -> Judge:
            nonlocal last, seconds
            last, began = None, self._clock.monotonic()
            answer = last = await self._foundry.ask(self._agent, probe, session, within)
            seconds = self._clock.monotonic() - began
            if answer.session and answer.session != session:
                self._session_opened(answer.session)

            def judge(is_open: bool) -> Judgement:
                return judge_answer(probe, open_words(answer) if is_open else answer, self._version, session)

            return judge

        report = await self._until(ask, probe.within.total_seconds())
        return Asked(report, last, seconds)

    async def _until(self, ask: Callable[[float], Awaitable[Judge]], within: float) -> ProbeReport:
        """Ask until that is useless, or ``within`` seconds have passed."""
        ends, failures = self._clock.monotonic() + within, 0
        while True:
            judge, retry_after = await self._try(ask, ends - self._clock.monotonic())
            judgement = judge(False)
            ends = self._unless_overslept(ends, within)
            left = ends - self._clock.monotonic()
            if not may_ask_again(judgement) or left <= 0:
                return await self._report(judge)
            failures += 1
            await self._clock.sleep(min(PAUSES.seconds(failures, self._clock, retry_after), left))
            ends = self._unless_overslept(ends, within)
            if self._clock.monotonic() >= ends:
                return await self._report(judge)

    def _unless_overslept(self, ends: float, within: float) -> float:
        """When the time is up; it starts anew where this process stood still: no good version is held for that."""
        now = self._clock.monotonic()
        return now + within if now - ends > MAX_OVERSLEEP_SECONDS else ends

    async def _report(self, judge: Judge) -> ProbeReport:
        """The report of the last answer; one that is not PASSED says what was answered, where that may be shown."""
        judgement = judge(False)
        if judgement.verdict is not Verdict.PASSED and self._words_may_be_shown is not None:
            judgement = judge(await self._words_may_be_shown())
        return report_at_timeout(judgement)

    async def _try(self, ask: Callable[[float], Awaitable[Judge]], within: float) -> tuple[Judge, float]:
        try:
            return await ask(within), 0.0
        except TransientError as error:
            return partial(_judge_no_answer, error), error.retry_after or 0.0


def _judge_no_answer(error: TransientError, is_open: bool) -> Judgement:
    if is_open:
        error.open_words()
    return Judgement(Verdict.NOT_ASKED, f"{error.code}: {error.message}")


def _judge_no_session(answer: Answer, is_open: bool) -> Judgement:
    """Judge the refusal of a session with the service's own words: no agent has answered yet."""
    answer = open_words(answer) if is_open else answer
    refusal = judge_refusal(answer) or Judgement(Verdict.NOT_YET, f"answered {answer.status}")
    words = f": {answer.message}" if answer.message else ""
    return replace(refusal, detail=f"{refusal.detail} without a session{words}")
