"""The release loop of one lease holder: look, decide, act, record, until a decision ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core import notes
from core.reasons import Reason
from core.record import Record
from core.release import next_step
from core.rules import AgentRule
from core.steps import Begin, ClearTwin, Confirm, Create, Done, End, Look, Note, Pin, Promote, Step, Wait, Yield
from core.world import Facts, World
from handlers import telemetry
from handlers.acts import Acts
from handlers.config import Settings
from handlers.decisions import Decisions
from handlers.gateways import STORAGE, Gateways, Lease, PermanentError, TransientError
from handlers.observe import Observer
from handlers.pace import LeaseLostError, Pace

BUDGET = timedelta(minutes=20)
"""How long one message may take; functionTimeout in host.json is longer."""
BACK_IN = timedelta(seconds=60)

Ending = Done | Yield
ToFoundry = Create | Pin | Promote | ClearTwin | Confirm


class Turns:
    """One holder of the lease; ``considered`` is the newest serial that it looked at."""

    def __init__(
        self, agent: str, rule: AgentRule, settings: Settings, outside: Gateways, lease: Lease, decisions: Decisions
    ) -> None:
        self.considered = lease.record.seen
        self._agent = agent
        self._rule = rule
        self._outside = outside
        self._decisions = decisions
        self._observer = Observer(agent, rule, settings.registry_login_server, outside)
        self._acts = Acts(agent, lease, outside.foundry, outside.clock)
        self._facts = Facts()
        self._pace = Pace(outside.clock, lease, settings.poll_seconds)

    async def run(self) -> Ending:
        """Take turns until one of them ends it; raises TransientError where storage does not answer."""
        clock = self._outside.clock
        started = clock.now()
        try:
            while True:
                now = clock.now()  # before the reads: a slow turn may look old, never fresh
                if now - started >= BUDGET:
                    await self._acts.save()
                    return self._told(Yield(Reason.BACK_SOON, now))
                await self._pace.keep_lease()
                ending = await self._turn(now)
                if ending is not None:
                    return ending
        except LeaseLostError:
            return self._told(Done(Reason.LEASE_LOST))

    async def _turn(self, now: datetime) -> Ending | None:
        wanted = await self._outside.ledger.wanted(self._agent)
        self.considered = max(self.considered, wanted.serial)
        world = World(wanted, self._acts.record, self._facts)
        step: Step = Look("agent")
        try:
            while isinstance(step := next_step(world, self._rule, now), Look):
                world = replace(world, facts=await self._observer.look(world, step))
            self._facts = world.facts
            ending = await self._take(step)
        except TransientError as error:
            return await self._wait_out(error, now)
        except PermanentError as error:
            return await self._stop(error, step, world, now)
        self._pace.answered()
        return ending

    async def _take(self, step: Step) -> Ending | None:
        if isinstance(step, Wait | Yield | Done):
            return await self._rest(step)
        if isinstance(step, Note | End | Begin):
            return await self._write_down(step)
        if isinstance(step, Look):  # pragma: no cover - the turn answered it
            return None
        self._pace.acted()
        with telemetry.span(f"release.{step.reason.value.lower()}", agent=self._agent):
            return await self._act(step)

    async def _rest(self, step: Wait | Yield | Done) -> Ending | None:
        await self._acts.save()
        if isinstance(step, Done) and step.told:
            return step
        if not isinstance(step, Wait):
            return self._told(step)
        self._facts = self._facts.without_version(step.for_version) if step.for_version else Facts()
        await self._poll()
        return None

    async def _write_down(self, step: Note | End | Begin) -> Ending | None:
        before, self._acts.record = self._acts.record, step.record
        if isinstance(step, End):
            await self._acts.save()
            if before.open and step.record.seen > before.seen:
                self._tell(Reason.SUPERSEDED, before)
            self._tell(step.reason, step.record, step.detail)
            return Done(step.reason, step.detail)
        if isinstance(step, Begin):
            if step.superseded is not None:
                self._tell(Reason.SUPERSEDED, step.superseded)
            self._facts = replace(self._facts, wish=None, resolved=self._facts.wish)
        self._tell(step.reason, step.record)
        return None

    async def _act(self, step: ToFoundry) -> Ending | None:
        if isinstance(step, Confirm):
            return await self._confirm(step)
        facts, self._facts = self._facts, Facts(resolved=self._facts.resolved)
        if isinstance(step, ClearTwin):
            await self._acts.clear_twin(step)
        elif not await (self._acts.create(step, facts) if isinstance(step, Create) else self._acts.route(step)):
            await self._poll()  # the routing moved between two reads: decide again
            return None
        self._tell(step.reason, self._acts.record)
        return None

    async def _confirm(self, step: Confirm) -> Ending | None:
        wrong = await self._acts.confirm(step)
        self._facts = self._facts.without_version(step.version.number)
        if wrong is None:
            return None
        ended = notes.ended(self._acts.record, Reason.DEFINITION_MISMATCH, self._outside.clock.now(), wrong)
        return await self._write_down(End(Reason.DEFINITION_MISMATCH, ended, wrong))

    async def _wait_out(self, error: TransientError, now: datetime) -> Ending | None:
        """Faults of others are waited out here: redeliveries of a message are few, and are for bugs."""
        if error.service == STORAGE:
            raise error
        self._facts = Facts()
        await self._acts.save()
        await self._decisions.flush()
        if await self._pace.back_off(error):
            return None
        return self._told(Yield(Reason.SERVICE_UNAVAILABLE, now + BACK_IN), str(error))

    async def _stop(self, error: PermanentError, step: Step, world: World, now: datetime) -> Ending | None:
        """What will never be answered otherwise ends the release, and says so."""
        if error.service == STORAGE:
            raise error
        reason, record = _refusal(error, step), self._acts.record
        if world.newer:
            ended = notes.answered(record, world.wanted, reason, now, str(error))
        else:
            ended = notes.ended(record, reason, now, str(error))
        return await self._write_down(End(reason, ended, str(error)))

    async def _poll(self) -> None:
        await self._decisions.flush()
        await self._pace.poll()

    def _told(self, ending: Ending, detail: str = "") -> Ending:
        self._tell(ending.reason, self._acts.record, detail or (ending.detail if isinstance(ending, Done) else ""))
        return ending

    def _tell(self, reason: Reason, record: Record, detail: str = "") -> None:
        push = record.push
        self._decisions.tell(
            reason,
            detail,
            version=record.candidate or (record.good.version if record.good else None),
            repository=push.repository if push else None,
            tag=push.tag if push else None,
            digest=push.digest if push else None,
            event=push.event_id if push else None,
            fingerprint=record.fingerprint,
            serial=record.seen,
        )


def _refusal(error: PermanentError, step: Step) -> Reason:
    if error.status in (401, 403):
        return Reason.FORBIDDEN
    if isinstance(step, Create):
        return Reason.CREATE_REFUSED
    return Reason.ROUTE_REFUSED if isinstance(step, Pin | Promote) else Reason.REQUEST_REFUSED
