"""What is reported is reported once, and known work does not wait for the timer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.reasons import Reason
from core.state.release import WITHOUT_TRAFFIC
from handlers.gateways.interfaces import OutcomeEvent
from tests.simulation.safety_invariants import InvariantError, Oracle

PROGRESS = {
    "ADOPT", "BEGIN", "CONFIRM_PASSED", "CREATE", "DELETE_DUPLICATE", "LEASE_LOST", "LEASE_TAKEN", "MAKE_ROOM", "PIN",
    "ROLLBACK", "SERVICE_UNAVAILABLE", "TIME_BUDGET_SPENT", "TRAFFIC_MOVED", "UNCLEAR_ANSWER", "VERIFY_PASSED",
    "WRITE_NOT_APPLIED", "OUTCOME_NOT_PUBLISHED", "SESSIONS_ACTIVE", "PRUNED_STALE", "PRUNED_FAILED",
}  # fmt: skip
"""Steps on the way; a release that starts again, or after a crash, takes them again."""
WAITS_FOR_SOMEBODY = {Reason.PAUSED, Reason.APPROVAL_WAITING, Reason.ROUTING_CHANGED, Reason.NO_PUSH_YET}
"""A person's command, or a push, sends the next message."""


class OutcomeList:
    """The topic for outcomes; no event comes twice."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._ids: set[str] = set()

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        for event in events:
            if event.id in self._ids:
                self._oracle.fail(f"an outcome is published twice: {event.id}")
            self._ids.add(event.id)


def check_reported_once(lines: Sequence[Mapping[str, object]]) -> None:
    """Raise InvariantError if a decision of a release is in the journal twice for one generation."""
    seen: set[tuple[object, ...]] = set()
    for line in lines:
        if not str(line.get("step", "")).startswith("release.") or line["reason"] in PROGRESS:
            continue
        # the first attempt of an evaluation is reported, and the last, which ends the release
        attempt = line.get("detail") if line["reason"] == "EVALUATION_INCONCLUSIVE" else None
        # pushes that wait until they are old enough share a generation, and each may have been missed
        push = line.get("tag") if line["reason"] == "MISSED_PUSH_FOUND" else None
        key = (line.get("generation"), line["reason"], line.get("version"), attempt, push)
        if key in seen:
            raise InvariantError(f"{line['reason']} is reported twice for generation {key[0]}, version {key[2]}")
        seen.add(key)


def check_push_begins_anew(oracle: Oracle, reason: Reason) -> None:
    """A push or command that finds the agent deleted is released in the same run.

    Unless a release was under way: it ends, and what follows it, such as a push without its signature, has a message.
    """
    observed = oracle.release.observed_generation
    is_newer = all(item.user_generation > observed for item in oracle.recent_desired())
    if reason is Reason.AGENT_DELETED and is_newer and not oracle.deletion_ended_release:
        oracle.violations.append(f"generation {oracle.desired.generation} waits for another run after AGENT_DELETED")


def check_nothing_waits_for_the_timer(oracle: Oracle, reason: Reason) -> None:
    """A release has ended, nobody works, and no message is on its way: then nothing may be known to be left."""
    release, desired = oracle.release, oracle.desired
    if reason in WAITS_FOR_SOMEBODY or reason in (Reason.LEASE_TAKEN, Reason.LEASE_LOST) or desired.push is None:
        return
    waits_for_approval = oracle.spec.release.mode == "manual" and release.phase in WITHOUT_TRAFFIC
    if desired.generation > release.observed_generation or (release.is_open and not waits_for_approval):
        oracle.violations.append(f"generation {desired.generation} waits for the timer: the last run ended as {reason}")
