"""Reads what a release decision needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.image_manifest import RegistryTag
from core.model import Push, Version
from core.release.actions import NeedsRead, Read
from core.release.inputs import DecisionInput, Observed, release_expected
from core.release.rules_signature import push_to_verify
from core.signatures import SignatureCheck, Verdict
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.state.rollbacks import under_way_first
from handlers.concurrency import gather_all, gather_two
from handlers.gateways.errors import GatewayError, PermanentError
from handlers.gateways.interfaces import Gateways
from handlers.registry_tags import RegistryTags
from handlers.release_agent.resolve_definition import DefinitionResolver
from handlers.release_agent.stages import read_desired


@dataclass(frozen=True, slots=True)
class Prefetch:
    """What was read before a pass of the loop; ``at`` is when the reads began, so that a slow pass may look old."""

    at: datetime
    desired: DesiredState
    observed: Observed = field(default_factory=Observed)


class Observer:
    """The reads of one agent's release; each method raises TransientError or PermanentError where it says no other."""

    def __init__(self, spec: AgentSpec, login_server: str, gateways: Gateways) -> None:
        self._agent, self._spec = spec.name, spec
        self._resolver = DefinitionResolver(spec, login_server, gateways)
        self._gateways = gateways

    async def _desired(self) -> DesiredState:
        return await read_desired(self._spec, self._gateways)

    async def prefetch_desired(self) -> Prefetch | None:
        """The desired state, read while the lease is asked for; None where storage does not answer."""
        at = self._gateways.clock.now()
        try:
            return Prefetch(at, await self._desired())
        except GatewayError:
            return None

    async def prefetch(self, states: Prefetch, release: ReleaseState) -> Prefetch:
        """What a release surely needs beside the desired state; what does not answer is left to the loop."""
        at, desired = states.at, states.desired
        calm = self._gateways.limiter_of(self._agent).is_calm(self._gateways.clock.monotonic())
        if not calm or not release_expected(desired, release, self._spec, at):
            return states
        reads = frozenset({Read.AGENT, Read.VERSION_LIST, Read.DESIRED_DEFINITION, Read.RECENT_TAGS})
        needed = NeedsRead(
            reads, signature_of=push_to_verify(under_way_first(desired, release), release, self._spec, at)
        )
        try:
            return replace(states, observed=await self.read(DecisionInput(desired, release), needed, at))
        except GatewayError:
            return states  # the loop reads it again, and waits the fault out

    async def read(self, inputs: DecisionInput, needed: NeedsRead, now: datetime) -> Observed:
        """What was observed so far, with what is still needed."""
        if needed.version:
            version = await self._gateways.foundry.get_version(self._agent, needed.version)
            return inputs.observed.with_version(needed.version, version)
        if needed.signature_of is not None:
            rest = self.read(inputs, replace(needed, signature_of=None), now)
            observed, check = await gather_two(rest, self._check_signature(needed.signature_of, now))
            return observed.with_signature(needed.signature_of.digest, check)
        reads = sorted(needed.reads)
        values = await gather_all([self._read_one(read, inputs, now) for read in reads])
        fields = {str(read): value for read, value in zip(reads, values, strict=True)}
        return replace(inputs.observed, reads=inputs.observed.reads | needed.reads, **fields)  # type: ignore[arg-type]

    async def _check_signature(self, push: Push, now: datetime) -> SignatureCheck:
        """Whether the image is signed as agents.yaml asks; without an answer that is unknown."""
        try:
            bundles = await self._gateways.registry.list_signatures(push.repository, push.digest)
        except GatewayError as error:
            return SignatureCheck(Verdict.UNKNOWN, str(error), at=now)
        check = await self._gateways.signatures.verify(bundles, push.digest, self._spec.release)
        return replace(check, at=now)

    async def _read_one(self, read: Read, inputs: DecisionInput, now: datetime) -> object:
        match read:
            case Read.AGENT:
                return await self._gateways.foundry.get_agent(self._agent)
            case Read.VERSION_LIST:
                return tuple(await self._gateways.foundry.list_versions(self._agent))
            case Read.DESIRED_DEFINITION:
                return await self._resolver.desired(inputs.desired, inputs.release, now)
            case Read.RELEASE_DEFINITION:
                return await self._resolver.under_way(inputs.release)
            case Read.ALL_TAGS:
                return await self._all_tags(inputs.observed)
            case Read.RECENT_TAGS:
                return await self._resolver.recent_tags(inputs.desired, inputs.release)

    async def _all_tags(self, observed: Observed) -> tuple[RegistryTag, ...] | None:
        try:
            return tuple(await RegistryTags(self._gateways.registry).of(observed.version_list))
        except PermanentError:
            return None

    async def read_again(self, desired: DesiredState, observed: Observed, polled_version: str) -> Prefetch:
        """The desired state, and the version that is waited for."""
        at = self._gateways.clock.now()
        now_desired, observed = await gather_two(self._desired(), self._poll(observed, polled_version))
        return Prefetch(at, now_desired, _still_valid(observed, desired, now_desired))

    async def read_for_traffic(self, desired: DesiredState, observed: Observed, candidate: str) -> Prefetch:
        """What moving the traffic is decided on, as it is now; the agent is read again beside the intent."""
        at, candidate_now = self._gateways.clock.now(), self._gateways.foundry.get_version(self._agent, candidate)
        now_desired, version = await gather_two(self._desired(), candidate_now)
        return Prefetch(at, now_desired, _still_valid(observed.with_version(candidate, version), desired, now_desired))

    async def agent_again(self, observed: Observed) -> Observed:
        """With the agent as it is now, or as it was where it cannot be read."""
        try:
            return observed.with_agent(await self._gateways.foundry.get_agent(self._agent))
        except GatewayError:
            return observed

    async def rollback_versions(self, numbers: tuple[str, ...]) -> dict[str, Version | None]:
        """Some versions, or none of them where one read fails: the rule that needs them then asks again."""
        foundry = self._gateways.foundry
        try:
            versions = await gather_all([foundry.get_version(self._agent, number) for number in numbers])
        except GatewayError:
            return {}
        return dict(zip(numbers, versions, strict=True))

    async def _poll(self, observed: Observed, number: str) -> Observed:
        if not number:
            return observed
        try:
            return observed.with_version(number, await self._gateways.foundry.get_version(self._agent, number))
        except PermanentError:
            return observed  # the rule that needs the version meets the refusal, and the release ends with it


def _still_valid(observed: Observed, before: DesiredState, now: DesiredState) -> Observed:
    """A changed desired state needs another definition, and other tags."""
    return observed if now == before else observed.without(Read.DESIRED_DEFINITION, Read.RECENT_TAGS)
