"""What must be true after the last fault, once nothing changes any more."""

from __future__ import annotations

from core.model import Status
from core.release.inputs import rollback_version
from core.state.desired import Cause
from core.state.release import WITHOUT_TRAFFIC
from tests.simulation.report_invariants import check_reported_once
from tests.simulation.run import History
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.scene import AGENT, Behaviour

ROLLED_BACK = {"CHECK_FAILED", "CHECK_FAILED_NO_ROLLBACK_VERSION", "HELD"}
FAILED_BY = {
    Behaviour.FAILS: {"IMAGE_ERROR"},
    Behaviour.WRONG: {"VERIFY_FAILED", "EVALUATION_FAILED", *ROLLED_BACK},
    Behaviour.WRONG_LIVE: ROLLED_BACK,
    Behaviour.FLAKY: {"VERIFY_FAILED", "EVALUATION_FAILED", *ROLLED_BACK},
}
"""Reasons with which a release of such an image may fail."""
LIVE = {"LIVE", "ALREADY_LIVE"}
INCONCLUSIVE = {"VERIFY_INCONCLUSIVE", "CHECK_INCONCLUSIVE", "EVALUATION_INCONCLUSIVE"}
"""The service did not answer in time: a release may end so, and nothing is held."""


def check_end(history: History) -> None:
    """Raise InvariantError unless every liveness invariant holds."""
    release, desired, newest = history.oracle.release, history.oracle.desired, history.newest
    check_reported_once(history.journal.lines)
    was_touched = history.oracle.routing_was_changed or bool(history.oracle.deleted_at)
    _expect(was_touched or "DRIFT" not in history.journal.reasons(), "drift is reported though nobody changed anything")
    if newest is None:
        return
    # while an agent is paused, a push that was too young waits beside the desired one
    waiting = [item.push for item in desired.waiting] if desired.pause is not None else []
    push = max(waiting, key=lambda push: push.pushed_at) if waiting else desired.newest_push or desired.push
    _expect(
        push is not None and (push.tag, push.digest) == (newest.tag, newest.digest),
        f"the newest push is lost: desired is {push and (push.tag, push.digest)}",
    )
    may_wait = desired.pause is not None or was_touched
    _expect(not history.queue.waiting or may_wait, "a message is left")
    needs_approval = history.scene.mode == "manual" and release.phase in WITHOUT_TRAFFIC
    _expect(
        not release.is_open or needs_approval or may_wait,
        f"the release never ended: it is {release.phase}: {_last_reasons(history)}",
    )
    _expect(
        release.observed_generation == desired.generation or may_wait,
        f"generation {desired.generation} was never answered: the release is at {release.observed_generation}",
    )
    if release.is_open or release.observed_generation != desired.generation or waiting:
        return
    if desired.newest_push is not None or desired.rollback is not None:
        _check_rollback(history)
    else:
        _check_newest_push(history)


def _check_rollback(history: History) -> None:
    """A person asked for an earlier version: it is live, or the release ended with the reason why it is not."""
    oracle, number = history.oracle, rollback_version(history.oracle.desired)
    if oracle.release.reason in LIVE and number and oracle.manual_routing is None and not oracle.deleted_at:
        live = history.foundry.agents[AGENT].routing.pinned
        _expect(live == number, f"version {live} is live, but a person asked for version {number}")
    _check_rotated(history)


def _check_rotated(history: History) -> None:
    """A rotation after a rollback gives the version that a person rolled back to the newest secret."""
    oracle, desired = history.oracle, history.oracle.desired
    is_touched = oracle.manual_routing is not None or bool(oracle.deleted_at) or oracle.rollback is None
    if is_touched or desired.cause is not Cause.SECRET or oracle.release.reason not in LIVE:
        return
    live = history.foundry.agents[AGENT].routing.pinned or ""
    value, newest = history.foundry.environment(AGENT, live)["KEY"], history.expected_variables()["KEY"]
    _expect(value == newest, f"version {live} was rolled back to, and has not the newest secret, but {value}")
    definition = oracle.definition_of(live)
    _expect(oracle.rollback is None or definition == oracle.rollback.definition, f"version {live} is {definition}")


def _check_newest_push(history: History) -> None:
    oracle, newest = history.oracle, history.newest
    behaviour = history.foundry.behaviours[newest.digest] if newest else Behaviour.GOOD
    allowed = LIVE | INCONCLUSIVE | history.allowed_reasons | FAILED_BY.get(behaviour, set())
    allowed |= {"WOULD_RELEASE"} if history.scene.mode == "notify" or oracle.desired.pause else set()
    allowed |= {"TIMED_OUT"} if history.scene.provision_within == "1m" and history.foundry.provisioning > 60 else set()
    reason = oracle.release.reason
    _expect(reason in allowed, f"the newest push ended as {reason}: {_last_reasons(history)}")
    was_touched = oracle.manual_routing is not None or bool(oracle.deleted_at)
    if reason not in LIVE or was_touched or newest is None or _keeps_earlier_push(history):
        return
    agent = history.foundry.agents[AGENT]
    live = agent.versions[agent.routing.pinned or ""]
    _expect(newest.digest in live.image, f"version {live.number} is live, but is not of the newest push")
    environment = history.foundry.environment(AGENT, live.number)
    for name, value in history.expected_variables().items():
        _expect(environment.get(name) == value, f"the live version has not {name} {value}, but {environment.get(name)}")
    _expect(history.foundry.status(live.number) is Status.ACTIVE, "the live version is not active")


def _keeps_earlier_push(history: History) -> bool:
    """Whether a rotation releases an earlier push, because the newest is held or once ended without going live."""
    release, desired = history.oracle.release, history.oracle.desired
    digest = desired.push.digest if desired.push else ""
    has_failed = any(end.digest == digest and end.reason not in LIVE | {"SUPERSEDED"} for end in release.history)
    return release.push != desired.push and bool(release.holds or desired.holds or desired.lifted or has_failed)


def _last_reasons(history: History) -> list[str]:
    return [reason for reason in history.journal.reasons() if reason != "REQUEUED"][-6:]


def _expect(holds: bool, violation: str) -> None:
    if not holds:
        raise InvariantError(violation)
