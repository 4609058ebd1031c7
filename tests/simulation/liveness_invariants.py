"""What must be true once everything has settled."""

from __future__ import annotations

from core.model import Status
from core.release.inputs import rollback_version
from core.state.release import Phase
from tests.simulation.run import History
from tests.simulation.safety_invariants import BrokenError
from tests.simulation.scene import AGENT, SECRET, Image

ENDED_BY = {
    Image.FAILS: {"IMAGE_ERROR"},
    Image.WRONG: {"VERIFY_FAILED", "CHECK_FAILED", "CHECK_FAILED_NO_ROLLBACK_VERSION", "HELD"},
    Image.WRONG_LIVE: {"CHECK_FAILED", "CHECK_FAILED_NO_ROLLBACK_VERSION", "HELD"},
    Image.FLAKY: {"VERIFY_FAILED", "CHECK_FAILED", "CHECK_FAILED_NO_ROLLBACK_VERSION", "HELD"},
}
"""How a release of the newest push may end besides going live, by what its image does."""
LIVE = {"LIVE", "ALREADY_LIVE"}
UNLUCKY = {"VERIFY_INCONCLUSIVE", "CHECK_INCONCLUSIVE"}
"""How it may end where the service did not answer just then: nothing is known, and nothing is held."""


def judge(history: History) -> None:
    """Raises BrokenError."""
    release, desired, newest = history.watch.record, history.watch.wanted, history.newest
    _told_once(history)
    touched = history.watch.touched or bool(history.watch.deleted)
    _expect(touched or "DRIFT" not in history.journal.reasons(), "nobody is blamed where nobody touched anything")
    if newest is None:
        return
    told = desired.newest_push or desired.push
    noted = told and (told.tag, told.digest)
    _expect(noted == (newest.tag, newest.digest), f"the newest push is what is wanted, not {noted}")
    rests = desired.pause is not None or touched
    _expect(not history.queue.waiting or rests, "no message is left")
    waits = history.scene.mode == "manual" and release.phase in (Phase.CONFIRMED, Phase.VERIFIED)
    _expect(not release.is_open or waits or bool(rests), f"the release ended, not {release.phase}: {_last(history)}")
    _expect(
        release.observed_generation == desired.generation or bool(rests),
        f"generation {desired.generation} was answered, not {release.observed_generation}",
    )
    if release.is_open or release.observed_generation != desired.generation:
        return
    if desired.newest_push is not None or rollback_version(desired):
        _as_chosen(history)
    else:
        _as_expected(history)


def _as_chosen(history: History) -> None:
    """A person wants an earlier version: it serves, or the release says why it does not."""
    release, watch, number = history.watch.record, history.watch, rollback_version(history.watch.wanted)
    if release.reason in LIVE and number and watch.moved is None and not watch.deleted:
        live = history.foundry.agents[AGENT].routing.pinned
        _expect(live == number, f"version {number}, which a person wants back, serves, not version {live}")


def _as_expected(history: History) -> None:
    release, newest = history.watch.record, history.newest
    image = history.foundry.images[newest.digest] if newest else Image.GOOD
    allowed = LIVE | UNLUCKY | history.excused | ENDED_BY.get(image, set())
    allowed |= {"WOULD_RELEASE"} if history.scene.mode == "notify" or history.watch.wanted.pause else set()
    _expect(release.reason in allowed, f"the newest push ended as {release.reason}: {_last(history)}")
    if (
        release.reason in LIVE
        and history.watch.moved is None
        and not history.watch.deleted
        and newest
        and not _good_goes_on(history)
    ):
        agent = history.foundry.agents[AGENT]
        live = agent.versions[agent.routing.pinned or ""]
        _expect(newest.digest in live.image, f"the newest push serves, not version {live.number}")
        value = history.foundry.environment(AGENT, live.number)["KEY"]
        _expect(value == history.vault.value(SECRET), f"the newest secret serves, not {value}")
        _expect(history.foundry.status(live.number) is Status.ACTIVE, "an active version serves")


def _good_goes_on(history: History) -> bool:
    """True where a rotation keeps what was live: the newest push is held, or ended otherwise than live before."""
    release, desired = history.watch.record, history.watch.wanted
    digest = desired.push.digest if desired.push else ""
    without = any(one.digest == digest and one.reason not in LIVE | {"SUPERSEDED"} for one in release.history)
    return release.push != desired.push and bool(release.holds or desired.holds or desired.lifted_at or without)


def _told_once(history: History) -> None:
    ends = [line for line in history.journal.lines if line["reason"] in ("LIVE", "ALREADY_LIVE", "IMAGE_ERROR")]
    told = [(line.get("generation"), line["reason"]) for line in ends if "generation" in line]
    _expect(len(told) == len(set(told)), f"no end told twice for one generation: {told}")


def _last(history: History) -> list[str]:
    return [reason for reason in history.journal.reasons() if reason != "REQUEUED"][-6:]


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenError(what)
