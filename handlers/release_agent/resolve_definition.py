"""Resolves a push to a definition: its secrets, its toolbox, and what the registry says of its image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec, SecretRef
from core.copied_definition import copy_definition, names_every_secret, refs_of_version
from core.definition import (
    Note,
    ResolvedDefinition,
    UnresolvedDefinition,
    existing_definition,
    push_of_version,
    resolve,
    secret_refs,
)
from core.image_manifest import ImageFacts, RegistryTag
from core.intake.registry_check import believable_tags
from core.model import Push, Secret, SecretUnavailable, TaggedSecret, Toolbox
from core.reasons import Reason
from core.release.inputs import (
    Resolution,
    is_rollback_target,
    may_serve,
    push_to_run,
    rollback_version,
    version_to_copy,
)
from core.release.rules_registry import is_checked
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.state.rollbacks import under_way_first
from core.vault_variables import VaultVariables, vault_variables, without_tags
from handlers.concurrency import gather_all, gather_two
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.read_secrets import SecretReader


class DefinitionResolver:
    """Follows the references of one agent's spec. Both methods raise TransientError or PermanentError."""

    def __init__(self, spec: AgentSpec, login_server: str, gateways: Gateways) -> None:
        self._agent = spec.name
        self._spec = spec
        self._login_server = login_server
        self._gateways = gateways

    async def desired(self, desired: DesiredState, release: ReleaseState, now: datetime) -> Resolution:
        """The definition that should run, with today's spec and secrets; after a rollback that of its version."""
        desired = under_way_first(desired, release)
        if number := rollback_version(desired):
            return await self._existing(number, desired)
        read = SecretReader(self._gateways, self._agent, {}, desired.named_secrets, release.secrets)
        push = push_to_run(desired, release, now)
        if push is not None and (back := version_to_copy(desired, release, now)) is not None:
            return _of_rollback(await self._copied(back.version, back.created_at, read, release), back.at)
        return await self._resolve(push, read, release)

    async def under_way(self, release: ReleaseState) -> Resolution:
        """The definition of the release under way, with the secret versions that it was resolved with."""
        read = SecretReader(self._gateways, self._agent, release.secrets)
        if release.copied_from:
            created_at = release.created_at.get(release.copied_from)
            copied = await self._copied(release.copied_from, created_at, read, release)
            return _of_rollback(copied, release.rollback_at)
        return await self._resolve(release.push, read, release)

    async def _existing(self, number: str, desired: DesiredState) -> Resolution:
        """An earlier version that an operator wants back, unchanged."""
        version = await self._gateways.foundry.get_version(self._agent, number)
        if version is None or not is_rollback_target(desired, version):
            status = version.status if version and not may_serve(version) else "gone"
            return UnresolvedDefinition(Reason.CANDIDATE_GONE, f"version {number} is {status}")
        at = desired.rollback.at if desired.rollback else None
        return replace(existing_definition(version), copied_from=number, rollback_at=at)

    async def _copied(
        self, number: str, created_at: datetime | None, reader: SecretReader, release: ReleaseState
    ) -> Resolution:
        """The definition of a version that exists, with today's secrets."""
        copied = await self._gateways.foundry.get_definition(self._agent, number)
        push = push_of_version(copied.version) if copied else None
        if copied is None or push is None or created_at not in (None, copied.version.created_at):
            return UnresolvedDefinition(Reason.CANDIDATE_GONE, f"version {number}, which was rolled back to, is gone")
        today = {} if names_every_secret(copied.version) else await self._refs_of_today(reader)
        if isinstance(today, UnresolvedDefinition):
            return today
        refs = refs_of_version(copied.version, today)
        secrets, image = await gather_two(reader.read_all(refs), self._image(push, release.image_facts))
        if isinstance(image, UnresolvedDefinition):
            return image
        definition = _with_dates(copy_definition(copied, secrets, self._gateways.clock.now()), reader)
        return definition if isinstance(definition, UnresolvedDefinition) else replace(definition, image=image)

    async def _resolve(self, push: Push | None, reader: SecretReader, release: ReleaseState) -> Resolution:
        if push is None:
            return UnresolvedDefinition(Reason.NO_PUSH_YET, "no push is recorded")
        remembered = release.last_good.tagged if release.last_good else release.tagged
        rest_of_it = self._secrets_and_toolbox(reader, remembered)
        image, rest = await gather_two(self._image(push, release.image_facts), rest_of_it)
        if isinstance(image, UnresolvedDefinition):
            return image  # first: what cannot be deployed is rejected, whatever else is wrong
        if isinstance(rest, UnresolvedDefinition):
            return rest
        secrets, toolbox, from_vault = rest
        now = self._gateways.clock.now()
        definition = resolve(self._spec, push, self._login_server, secrets, toolbox, now, image)
        if isinstance(definition, ResolvedDefinition):
            tagged = from_vault.to_remember(definition.secrets)
            definition = replace(definition, tagged=tagged, notes=from_vault.notes)
        return _with_dates(definition, reader)

    async def _refs_of_today(self, reader: SecretReader) -> Mapping[str, SecretRef] | UnresolvedDefinition:
        found = await self._from_vault(reader, {})
        return found if isinstance(found, UnresolvedDefinition) else secret_refs(self._spec, found.secrets)

    async def recent_tags(self, desired: DesiredState, release: ReleaseState) -> tuple[RegistryTag, ...] | None:
        """The newest tags and that of the desired push; None without an answer, or where they do not count."""
        desired = under_way_first(desired, release)
        push, spec = desired.push, self._spec
        if push is None or not is_checked(desired, spec):
            return None
        try:
            tag = push.tag if push.repository == spec.repository else ""
            tags = await self._gateways.registry.recent_tags(spec.repository, tag)
            return believable_tags(tags, self._gateways.clock.now())
        except GatewayError as error:
            if spec.inspect == "required" and isinstance(error, TransientError):
                raise
            return None

    async def _secrets_and_toolbox(
        self, reader: SecretReader, remembered: Mapping[str, TaggedSecret]
    ) -> (
        tuple[Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]], Toolbox | None, VaultVariables]
        | UnresolvedDefinition
    ):
        found = await self._from_vault(reader, remembered)
        if isinstance(found, UnresolvedDefinition):
            return found
        refs = secret_refs(self._spec, found.secrets)
        if isinstance(refs, UnresolvedDefinition):
            return refs
        secrets, toolbox = await gather_two(reader.read_all(refs), self._toolbox())
        if isinstance(toolbox, PermanentError):
            if all(isinstance(secret, Secret) for _, secret in secrets.values()):
                toolbox.open_words()
            return _no_toolbox(toolbox)
        return secrets, toolbox, found

    async def _from_vault(
        self, reader: SecretReader, remembered: Mapping[str, TaggedSecret]
    ) -> VaultVariables | UnresolvedDefinition:
        """The variables that the vault's tags give, and those that they gave to what serves."""
        if not self._spec.env_from_vault:
            return VaultVariables({}, {})
        try:
            tagged = await self._gateways.vault_of(self._agent).tagged_secrets(self._spec.agent)
        except PermanentError as error:
            if error.code == "AMBIGUOUS":
                return UnresolvedDefinition(Reason.ENV_AMBIGUOUS, error.message)
            if error.status in (401, 403):
                return UnresolvedDefinition(Reason.SECRET_FORBIDDEN, str(error))
            raise
        lost = without_tags(self._spec, tagged, remembered)
        names = sorted({item.secret for item in lost.values()})
        newest = await gather_all([reader.newest_version(name) for name in names])
        return vault_variables(self._spec, tagged, lost, dict(zip(names, newest, strict=True)))

    async def _image(self, push: Push, known: Mapping[str, ImageFacts]) -> ImageFacts | UnresolvedDefinition | None:
        """What was pushed, asked once per digest; without an answer the release goes on, unless it needs the answer."""
        if self._spec.inspect == "never":
            return None
        facts = known.get(push.digest)
        required = self._spec.inspect == "required" or self._spec.image == "amd64"
        try:
            facts = facts or await self._gateways.registry.inspect(push.repository, push.digest)
        except GatewayError as error:
            if not required:
                return None
            if isinstance(error, TransientError):
                raise
            return UnresolvedDefinition(Reason.IMAGE_UNREADABLE, str(error))
        if facts is None:
            return UnresolvedDefinition(Reason.IMAGE_GONE, push.digest)
        return UnresolvedDefinition(Reason[facts.reason], facts.detail) if facts.reason else facts

    async def _toolbox(self) -> Toolbox | PermanentError | None:
        """The toolbox version with the spec's tools, or its refusal; asked again, it is the same version."""
        if not self._spec.tools:
            return None
        try:
            return await self._gateways.foundry.ensure_toolbox(self._spec.toolbox, self._spec.tools)
        except PermanentError as error:
            return error


def _no_toolbox(refusal: PermanentError) -> UnresolvedDefinition:
    if refusal.other_tenant:
        return UnresolvedDefinition(Reason.OTHER_TENANT, str(refusal))
    if refusal.names_preview:
        return UnresolvedDefinition(Reason.PREVIEW_REQUIRED, str(refusal))
    reason = Reason.FORBIDDEN if refusal.status in (401, 403) else Reason.TOOLBOX_REFUSED
    return UnresolvedDefinition(reason, str(refusal))


def _of_rollback(definition: Resolution, at: datetime | None) -> Resolution:
    return replace(definition, rollback_at=at) if isinstance(definition, ResolvedDefinition) else definition


def _with_dates(definition: Resolution, reader: SecretReader) -> Resolution:
    """With the secrets that lag, and those whose newest version starts later."""
    definition = replace(definition, lagging=reader.lagging, later=reader.later)
    later = "; ".join(item.detail for item in reader.later)
    if isinstance(definition, UnresolvedDefinition):
        return replace(definition, detail=": ".join(filter(None, (definition.detail, later))))
    return (
        replace(definition, notes=(*definition.notes, Note(Reason.SECRET_STARTS_LATER, later))) if later else definition
    )
