"""Stages: a target of a later stage takes what is good in the stage before, and is woken when that may be so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, next_stage
from core.drift import find_moved_traffic, is_watched
from core.intake.passed_stage import has_unknown, with_unpassed_held
from core.intake.promotion import Promotion, UpstreamTarget, promote, with_upstream_holds
from core.reasons import Reason
from core.release_outcome import seconds_since
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.agent_states import read_state
from handlers.concurrency import gather_all, gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, StateStore
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

STEP = "stage"


def target_fields(spec: AgentSpec) -> dict[str, object]:
    """What the lines of a target name: the target, and its stage where that is a later one."""
    return {"agent": spec.name, "stage": spec.place.number if spec.place.upstream else None}


async def read_targets(names: Iterable[str], store: StateStore) -> list[UpstreamTarget]:
    """The states of targets of earlier stages."""
    return await gather_all([_read(name, store) for name in names])


async def _read(name: str, store: StateStore) -> UpstreamTarget:
    return UpstreamTarget(name, *await read_state(name, store))


async def read_desired(spec: AgentSpec, gateways: Gateways) -> DesiredState:
    """The target's desired state, with holds that are only read, never stored here.

    They are those of earlier stages, and one on each image that has not passed the stage before.
    """
    store = gateways.state_store
    if not spec.place.earlier:
        return await store.get_desired(spec.name)
    desired, earlier = await gather_two(store.get_desired(spec.name), read_targets(spec.place.earlier, store))
    now, release = gateways.clock.now(), await _release_if_needed(spec, desired, store)
    held = desired if release is None else with_unpassed_held(desired, release, spec.place.upstream, now)
    return with_upstream_holds(held, earlier, now)


async def _release_if_needed(spec: AgentSpec, desired: DesiredState, store: StateStore) -> ReleaseState | None:
    """The target's own release state, where it decides whether an image has passed the stage before."""
    return await store.get_release(spec.name) if has_unknown(desired) else None


async def take_promotion(spec: AgentSpec, gateways: Gateways) -> bool:
    """Take what the stage before lets through now, or send one message for the time when it does.

    False where nothing has ever passed that stage: there is nothing to release.
    """
    if not spec.place.upstream:
        return True
    now, found = gateways.clock.now(), list[Promotion]()
    upstream = await read_targets(spec.place.upstream, gateways.state_store)
    desired = await gateways.state_store.get_desired(spec.name)
    release = await _release_if_needed(spec, desired, gateways.state_store)
    if promote(desired, spec, upstream, now, release).reason is Reason.ACCEPTED:
        try:
            upstream = await gather_all([_with_traffic(target, gateways) for target in upstream])
        except GatewayError as error:  # the timer wakes the target again
            await _record(Promotion(desired, Reason.SERVICE_UNAVAILABLE, str(error)), spec, gateways)
            return _has_release(desired)

    def apply(desired: DesiredState) -> DesiredState:
        found.append(promote(desired, spec, upstream, now, release))
        return found[-1].desired

    with otel.span(STEP, agent=spec.name):
        await gateways.state_store.update_desired(spec.name, apply)
        promotion = found[-1]
        if promotion.due is not None:
            delay = max(0.0, (promotion.due - now).total_seconds())
            await gateways.release_queue.enqueue(
                spec.name, delay=delay, traceparent=promotion.desired.newest_traceparent
            )
        await _record(promotion, spec, gateways)
    return _has_release(promotion.desired)


def _has_release(desired: DesiredState) -> bool:
    return desired.generation > 0 or bool(desired.waiting)


async def _with_traffic(target: UpstreamTarget, gateways: Gateways) -> UpstreamTarget:
    """The target with what its traffic is: somebody may have moved it since the timer looked for drift."""
    release = target.release
    if not is_watched(release, gateways.clock.now()):
        return target
    moved = find_moved_traffic(release, await gateways.foundry.get_agent(target.name))
    return replace(target, release=replace(release, reported_drift=(*release.reported_drift, *moved)))


async def _record(promotion: Promotion, spec: AgentSpec, gateways: Gateways) -> None:
    if promotion.reason is None:
        return
    decisions = DecisionLog(gateways.journal, gateways.clock, {**target_fields(spec), "step": STEP})
    push = promotion.push
    image: dict[str, Any] = push.fields if push else {}
    took = seconds_since(push.pushed_at if push else None, gateways.clock.now())
    generation = promotion.desired.generation
    decisions.record(promotion.reason, promotion.detail, generation=generation, since_push_s=took, **image)
    await decisions.flush()


async def wake_next_stage(spec: AgentSpec, ended: Reason, agents: Agents, gateways: Gateways) -> None:
    """A release that went live made its image the good one: the targets of the next stage may take it, or wait."""
    if ended is not Reason.LIVE:
        return
    wake = partial(gateways.release_queue.enqueue, traceparent=otel.current_traceparent())
    await gather_all([wake(name) for name in next_stage(agents, spec.name)])
