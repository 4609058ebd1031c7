"""Mutants of the way from stage to stage: each takes one safeguard between stages or projects away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.state.desired import DesiredState
from core.state.release import GoodVersion, ReleaseState
from handlers.gateways.interfaces import Gateways
from tests.simulation.faults import PROCESS
from tests.simulation.mutants import Override, reading
from tests.simulation.run import Mutant
from tests.simulation.virtual_time import START

LONG_AGO = START - timedelta(days=1)


def _good_since_long_ago(release: ReleaseState) -> ReleaseState:
    good = release.last_good
    return replace(release, last_good=replace(good, since=LONG_AGO)) if good else release


def _candidate_is_good(release: ReleaseState) -> ReleaseState:
    if release.push is None or release.candidate is None:
        return release
    return replace(release, last_good=GoodVersion(release.push, release.fingerprint, release.candidate, since=LONG_AGO))


def _holds_are_not_read(gateways: Gateways) -> Gateways:
    """A target does not see the holds of the stages before it."""
    store = gateways.state_store

    async def get_desired(agent: str) -> DesiredState:
        return replace(await store.get_desired(agent), holds=())

    async def get_release(agent: str) -> ReleaseState:
        return replace(await store.get_release(agent), holds=())

    changed: Any = Override(store, get_desired=get_desired, get_release=get_release)
    return replace(gateways, state_store=changed)


def _every_desired_image_passed(gateways: Gateways) -> Gateways:
    """A target does not ask whether its desired image passed the stage before."""
    store = gateways.state_store

    def passed(desired: DesiredState) -> DesiredState:
        pushes = (desired.push, *(item.push for item in desired.waiting), *(i.push for i in desired.previous_pushes))
        return replace(desired, passed_digests=tuple(push.digest for push in pushes if push is not None))

    async def get_desired(agent: str) -> DesiredState:
        return passed(await store.get_desired(agent))

    async def update_desired(agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        return await store.update_desired(agent, lambda desired: change(passed(desired)))

    changed: Any = Override(store, get_desired=get_desired, update_desired=update_desired)
    return replace(gateways, state_store=changed)


def _nobody_wakes(gateways: Gateways) -> Gateways:
    """Neither a release that went live nor the timer sends a message to a later stage."""

    async def enqueue(agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        is_wake = "@" in agent and not delay and PROCESS.get().name != "person"
        if not is_wake:
            await gateways.release_queue.enqueue(agent, delay=delay, traceparent=traceparent)

    queue: Any = Override(gateways.release_queue, enqueue=enqueue)
    return replace(gateways, release_queue=queue)


def _one_limiter(gateways: Gateways) -> Gateways:
    """What one project refuses slows every other."""
    shared = gateways.rate_limiter
    return replace(gateways, project_limiter=lambda _: shared)


def _traffic_as_left(release: ReleaseState) -> ReleaseState:
    return replace(release, reported_drift=(), expected_routing=None, routing_at_start=None)


STAGE_MUTANTS = {
    "the time in the stage before is not waited for": reading("get_release", _good_since_long_ago),
    "a candidate counts as good": reading("get_release", _candidate_is_good),
    "traffic that somebody moved in an earlier stage is not seen": reading("get_release", _traffic_as_left),
    "the holds of earlier stages are not read": Mutant(_holds_are_not_read),
    "every desired image counts as passed": Mutant(_every_desired_image_passed),
    "nobody wakes a later stage": Mutant(_nobody_wakes),
    "all projects share a rate limiter": Mutant(_one_limiter),
}
"""By the missing safeguard."""
