"""A push that may be a signature wakes the releases that wait for one."""

from __future__ import annotations

from collections.abc import Collection

from core.agents_file.spec import Agents, AgentSpec, followers_of
from core.reasons import Reason
from handlers.agent_states import read_state
from handlers.concurrency import gather_limited
from handlers.gateways.interfaces import Gateways

MAX_CONCURRENT = 8
"""Agents at a time; an error of one stops none of the others."""
SIGNATURES = frozenset({Reason.UNTAGGED_PUSH, Reason.ARTIFACT_TAG})
"""A signature is pushed without a tag, or under one that names the digest of its image."""


async def wake_releases(repositories: Collection[str], agents: Agents, gateways: Gateways) -> None:
    """Queue the releases of the agents that ask for signatures, follow a repository and have something pending."""

    async def wake(spec: AgentSpec) -> None:
        desired, release = await read_state(spec.name, gateways.state_store)
        if desired.generation > release.observed_generation:
            await gateways.release_queue.enqueue(spec.name, traceparent=desired.newest_traceparent)

    followers = [spec for name in sorted(repositories) for spec in followers_of(agents, name)]
    await gather_limited(MAX_CONCURRENT, [wake(spec) for spec in followers if spec.release.signed_by])
