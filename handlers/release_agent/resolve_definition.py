"""From a push to a definition: its secrets, its toolbox and what the registry says of its image, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from core.agents_file.spec import AgentSpec, SecretRef
from core.definition import ResolvedDefinition, UnresolvedDefinition, existing_definition, resolve, secret_refs
from core.image_manifest import ImageFacts
from core.model import Push, Secret, SecretUnavailable, Toolbox
from core.reasons import Reason
from core.release.inputs import may_serve, push_to_run, rollback_version
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.redaction import register_secret

CONCURRENT_READS = 64
"""Secrets read at once: Key Vault allows 4,000 reads in 10 s to all who use the vault."""


class Resolver:
    """Follows the references of one agent's rule."""

    def __init__(self, spec: AgentSpec, login_server: str, gateways: Gateways) -> None:
        self._agent = spec.name
        self._rule = spec
        self._login_server = login_server
        self._outside = gateways

    async def wish(
        self, desired: DesiredState, release: ReleaseState, now: datetime
    ) -> ResolvedDefinition | UnresolvedDefinition:
        """What should run, with today's rule and secrets; raises TransientError or PermanentError."""
        if number := rollback_version(desired):
            return await self._as_it_is(number)
        return await self._resolve(push_to_run(desired, release, now), {}, release)

    async def _as_it_is(self, number: str) -> ResolvedDefinition | UnresolvedDefinition:
        """An earlier version that a person wants back: as it is, whatever rule and secrets say today."""
        version = await self._outside.foundry.get_version(self._agent, number)
        if version is None or not may_serve(version):
            return UnresolvedDefinition(
                Reason.CANDIDATE_GONE, f"version {number} is {version.status if version else 'gone'}"
            )
        return existing_definition(version)

    async def again(self, release: ReleaseState) -> ResolvedDefinition | UnresolvedDefinition:
        """The release under way, with the secrets that it was resolved to."""
        return await self._resolve(release.push, release.secrets, release)

    async def _resolve(
        self, push: Push | None, noted: Mapping[str, str], release: ReleaseState
    ) -> ResolvedDefinition | UnresolvedDefinition:
        if push is None:
            return UnresolvedDefinition(Reason.NO_PUSH_YET, "no push is noted")
        refs = await self._refs()
        if isinstance(refs, UnresolvedDefinition):
            return refs
        reads = gather_two(self._secrets(refs, noted), self._toolbox())
        image, (secrets, toolbox) = await gather_two(self._image(push, release.image_facts), reads)
        if isinstance(toolbox, UnresolvedDefinition):
            return toolbox
        if isinstance(image, UnresolvedDefinition):
            return image
        return resolve(self._rule, push, self._login_server, secrets, toolbox, self._outside.clock.now(), image)

    async def _refs(self) -> Mapping[str, SecretRef] | UnresolvedDefinition:
        """Which secret each variable takes, by the rule and by the vault's tags."""
        try:
            tagged = await self._outside.key_vault.tagged_secrets(self._agent) if self._rule.env_from_vault else {}
        except PermanentError as error:
            if error.code == "AMBIGUOUS":
                return UnresolvedDefinition(Reason.ENV_AMBIGUOUS, error.message)
            if error.status in (401, 403):
                return UnresolvedDefinition(Reason.SECRET_FORBIDDEN, str(error))
            raise
        return secret_refs(self._rule, tagged)

    async def _image(self, push: Push, known: Mapping[str, ImageFacts]) -> ImageFacts | UnresolvedDefinition | None:
        """What was pushed: asked once per digest, never where the rule says so, and needed where it says that."""
        if self._rule.inspect == "never" or push.digest in known:
            return known.get(push.digest)
        try:
            facts = await self._outside.registry.inspect(push.repository, push.digest)
        except GatewayError as error:
            if self._rule.inspect != "required":
                return None
            if isinstance(error, TransientError):
                raise
            return UnresolvedDefinition(Reason.IMAGE_UNREADABLE, str(error))
        gone = facts is None and self._rule.inspect == "required"
        return UnresolvedDefinition(Reason.IMAGE_GONE, push.digest) if gone else facts

    async def _secrets(
        self, refs: Mapping[str, SecretRef], noted: Mapping[str, str]
    ) -> dict[str, tuple[SecretRef, Secret | SecretUnavailable]]:
        """Every secret once, however many variables name it; a noted version id is asked for again."""
        turns = asyncio.Semaphore(CONCURRENT_READS)

        async def read(name: str, version: str | None) -> Secret | SecretUnavailable:
            async with turns:
                answer = await self._outside.key_vault.get_secret(name, version)
            if isinstance(answer, Secret):
                register_secret(answer.value.reveal())
            return answer

        desired = {(ref.secret, ref.version or noted.get(ref.secret)) for ref in refs.values()}
        order = sorted(desired, key=str)
        answers = dict(zip(order, await asyncio.gather(*(read(*one) for one in order)), strict=True))
        return {name: (ref, answers[ref.secret, ref.version or noted.get(ref.secret)]) for name, ref in refs.items()}

    async def _toolbox(self) -> Toolbox | UnresolvedDefinition | None:
        """The toolbox that has the rule's tools; asked again, it is the same version."""
        if not self._rule.tools:
            return None
        try:
            return await self._outside.foundry.ensure_toolbox(f"{self._agent}-tools", self._rule.tools)
        except PermanentError as error:
            reason = Reason.FORBIDDEN if error.status in (401, 403) else Reason.TOOLBOX_REFUSED
            return UnresolvedDefinition(reason, str(error))
