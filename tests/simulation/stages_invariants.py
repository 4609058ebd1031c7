"""What must hold between the stages of an agent, checked every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from core.agents_file.spec import Agents
from core.state import holds
from core.target import project_of
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from tests.simulation.safety_invariants import MAX_DESIRED_AGE, InvariantError
from tests.simulation.scene import Behaviour
from tests.simulation.virtual_time import VirtualClock

LOOK_EVERY = 10.0
TOLERANCE = 60.0
"""Seconds by which the clocks of two instances may differ, and by which the onlooker may be late."""
BOUND = 700.0
"""Seconds for a release whose message was lost: the timer's interval, and what the release itself takes."""
MAX_UNSEEN = 1500.0
"""Seconds until moved traffic is known in the next stage, while its project answers: some runs of the timer."""
GOOD = frozenset({Behaviour.GOOD, Behaviour.LATE, Behaviour.FLAKY})
"""How an image behaves that may be good somewhere."""
TROUBLE = frozenset(
    {"SERVICE_UNAVAILABLE", "UNCLEAR_ANSWER", "LEASE_LOST", "TIME_BUDGET_SPENT", "REQUEST_REFUSED", "DRIFT_UNKNOWN"}
    | {"FORBIDDEN", "CREATE_REFUSED", "ROUTE_REFUSED", "VERIFY_FORBIDDEN", "VERIFY_INCONCLUSIVE", "CHECK_INCONCLUSIVE"}
)
"""Reasons of a target whose project has faults."""


class World(Protocol):
    """What an onlooker looks at."""

    state_store: InMemoryStateStore
    journal: InMemoryJournal
    clock: VirtualClock
    gateways: Gateways
    faulty: str

    def live(self) -> dict[str, str]:
        """Target -> the digest that its traffic goes to."""

    def answers(self, target: str) -> bool:
        """False while the target's project refuses every call."""


class Onlooker:
    """Remembers what was good where for how long, and what was held."""

    def __init__(self, world: World, agents: Agents) -> None:
        self._store, self._journal, self._clock = world.state_store, world.journal, world.clock
        self._world, self._faulty, self._specs = world, world.faulty, agents.agents
        self._checked_lines = 0
        self.pushed: list[str] = []
        """Digests, oldest first."""
        self._pushed_at = 0.0
        self._behaviours: dict[str, Behaviour] = {}
        self._good: dict[str, tuple[str, float]] = {}
        """Target -> the image that is good there, and since when."""
        self._longest: dict[tuple[str, str], float] = {}
        """Target and image -> for how long it was good at most, without interruption."""
        self._held_since: dict[tuple[str, str], float] = {}
        self._moved_for: dict[tuple[str, str], float] = {}
        """Target and image -> for how long its traffic went to another image while it was the good one, as all see."""

    def fail(self, violation: str) -> None:
        """Raise InvariantError."""
        raise InvariantError(violation)

    def push(self, digest: str, behaviour: Behaviour) -> None:
        """An image is pushed."""
        self.pushed.append(digest)
        self._behaviours[digest], self._pushed_at = behaviour, self._clock.monotonic()

    async def watch(self) -> None:
        """Look at every target again and again."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            live = self._world.live()
            for target in self._specs:
                self._look(target)
                self._look_at_traffic(target, live[target])
            if self._faulty:
                self._check_others()

    def is_everywhere(self, digest: str, live: Mapping[str, str]) -> bool:
        """Whether an image is the good one at every target, and serves."""
        return all(self._good.get(target, ("", 0.0))[0] == live[target] == digest for target in self._specs)

    def _look(self, target: str) -> None:
        now, record = self._clock.monotonic(), self._store.releases.get(target)
        good = record.state.last_good if record else None
        digest = good.push.digest if good else ""
        known, since = self._good.get(target, ("", now))
        self._good[target] = digest, since if digest == known else now
        kept = now - self._good[target][1]
        self._longest[target, digest] = max(kept, self._longest.get((target, digest), 0.0))
        held = self._held(target, self._clock.now())
        for digest in self.pushed:
            if digest in held:
                self._held_since.setdefault((target, digest), now)
            else:
                self._held_since.pop((target, digest), None)

    def _look_at_traffic(self, target: str, live: str) -> None:
        good = self._good[target][0]
        self._moved_for.pop((target, live), None)
        if good != live and self._is_idle(target) and self._world.answers(target):
            self._moved_for[target, good] = self._moved_for.get((target, good), 0.0) + LOOK_EVERY

    def _is_idle(self, target: str) -> bool:
        """No release is due or under way; while one is, the timer does not look for drift."""
        record, desired = self._store.releases.get(target), self._store.desired.get(target)
        if record is None or desired is None or record.state.is_open:
            return False
        return desired.generation <= record.state.observed_generation

    def _held(self, target: str, now: datetime) -> set[str]:
        record, desired = self._store.releases.get(target), self._store.desired.get(target)
        active = holds.active(desired, record.state, now) if desired and record else ()
        return {hold.digest for hold in active if hold.until is None or hold.until > now + timedelta(minutes=1)}

    def check_create(self, target: str, metadata: Mapping[str, str]) -> None:
        """Raise InvariantError where a target makes a version of an image that did not pass the stages before."""
        digest, place, desired = metadata["slipway.digest"], self._specs[target].place, self._store.desired[target]
        if place.upstream and self._behaviours[digest] not in GOOD:
            self.fail(f"{target} got an image that cannot have been good before: {self._behaviours[digest]}")
        for upstream in place.upstream:
            kept = self._longest.get((upstream, digest), -1.0)
            if kept < place.soak.total_seconds() - TOLERANCE:
                self.fail(f"{target} got an image that was good at {upstream} for {kept:.0f} s")
        chosen = desired.rollback is not None and desired.rollback.push is not None
        for earlier in place.earlier:
            since = self._held_since.get((earlier, digest))
            if since is not None and self._clock.monotonic() - since > MAX_DESIRED_AGE and not chosen:
                self.fail(f"{target} got an image that is held at {earlier}")

        for upstream in place.upstream:
            if self._moved_for.get((upstream, digest), 0.0) > MAX_UNSEEN and not chosen:
                self.fail(f"{target} got an image whose traffic somebody moved at {upstream}")

    def _check_others(self) -> None:
        """No target that does not depend on the faulty project is late, or reports trouble."""
        others = [target for target in self._specs if not self._depends(target)]
        lines = self._journal.lines[self._checked_lines :]
        self._checked_lines += len(lines)
        for line in lines:
            if line.get("agent") in others and line["reason"] in TROUBLE:
                self.fail(f"a fault in {self._faulty} reached {line['agent']}: {line['reason']} {line.get('detail')}")
        for target in others:
            self._check_is_in_time(target)
            if not self._world.gateways.limiter_of(target).is_calm(self._clock.monotonic()):
                self.fail(f"refusals in {self._faulty} slow {target}")

    def _depends(self, target: str) -> bool:
        return self._faulty in map(project_of, (target, *self._specs[target].place.earlier))

    def _check_is_in_time(self, target: str) -> None:
        place, now = self._specs[target].place, self._clock.monotonic()
        if not place.upstream:
            due, since = self.pushed[-1], self._pushed_at
        else:
            found = [self._good.get(upstream, ("", now)) for upstream in place.upstream]
            due, since = found[0][0], max(since for _, since in found)
            if not due or any(digest != due for digest, _ in found):
                return
        has_run = self._behaviours[due] is Behaviour.GOOD
        waits = (place.soak + self._specs[target].release.min_push_age).total_seconds()
        if has_run and now - since > waits + BOUND and self._good[target][0] != due:
            self.fail(f"faults in {self._faulty} delay {target}: {due[-2:]} is due for {now - since:.0f} s")
