"""Puts the questions of a rule to an agent until they are answered or their time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

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
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import Foundry

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 5.0
"""Seconds between two questions, growing: a container that just became active may need some to come up."""

MAX_OVERSLEEP_SECONDS = 5.0
"""Seconds past the end at which it is this process that hung, not the agent: no question takes longer than its time."""


class Prover:
    """Asks one version of an agent."""

    def __init__(self, agent: str, version: str, foundry: Foundry, clock: Clock) -> None:
        self._agent = agent
        self._version = version
        self._foundry = foundry
        self._clock = clock

    async def verify(self, probes: tuple[Probe, ...]) -> ProbeReport:
        """Ask in a session that is bound to the version; the session is deleted whatever happens."""
        opened: list[str] = []

        async def open_session(within: float) -> Judgement:
            session = await self._foundry.open_session(self._agent, self._version, within)
            if isinstance(session, Answer):
                return judge_refusal(session) or Judgement(
                    Verdict.NOT_YET, f"answered {session.status} without a session"
                )
            opened.append(session)
            return Judgement(Verdict.PASSED)

        try:
            proof = await self._until(open_session, max(probe.within.total_seconds() for probe in probes))
            return await self._all(probes, opened[0]) if opened else proof
        finally:
            for session in opened:
                with suppress(GatewayError):  # it ends by itself; prune is told of it by a 409
                    await asyncio.shield(self._foundry.end_session(self._agent, session))

    async def check(self, probes: tuple[Probe, ...]) -> ProbeReport:
        """Ask whatever has the traffic."""
        return await self._all(probes, None)

    async def _all(self, probes: tuple[Probe, ...], session: str | None) -> ProbeReport:
        for number, probe in enumerate(probes, 1):
            proof = await self._answered(probe, session)
            if proof.outcome is not ProbeOutcome.PASSED:
                named = f"question {number} of {len(probes)}: " if len(probes) > 1 else ""
                return ProbeReport(proof.outcome, named + proof.detail)
        return ProbeReport(ProbeOutcome.PASSED)

    async def _answered(self, probe: Probe, session: str | None) -> ProbeReport:
        async def ask(within: float) -> Judgement:
            return judge_answer(probe, await self._foundry.ask(self._agent, probe, session, within), self._version)

        return await self._until(ask, probe.within.total_seconds())

    async def _until(self, ask: Callable[[float], Awaitable[Judgement]], within: float) -> ProbeReport:
        """Ask until that is of no use any more, or ``within`` seconds have passed."""
        ends, pause = self._clock.monotonic() + within, FIRST_PAUSE_SECONDS
        while True:
            judged, wish = await self._once(ask, ends - self._clock.monotonic())
            ends = self._unless_we_hung(ends, within)
            left = ends - self._clock.monotonic()
            if not may_ask_again(judged) or left <= 0:
                return report_at_timeout(judged)
            await self._clock.sleep(min(max(pause, wish), left))
            ends = self._unless_we_hung(ends, within)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
            if self._clock.monotonic() >= ends:
                return report_at_timeout(judged)

    def _unless_we_hung(self, ends: float, within: float) -> float:
        """When the time is up; anew where this process missed it: a good version is not held because we stood still."""
        now = self._clock.monotonic()
        return now + within if now - ends > MAX_OVERSLEEP_SECONDS else ends

    async def _once(self, ask: Callable[[float], Awaitable[Judgement]], within: float) -> tuple[Judgement, float]:
        try:
            return await ask(within), 0.0
        except TransientError as error:
            return Judgement(Verdict.NOT_ASKED, f"{error.code}: {error.message}"), error.retry_after or 0.0
