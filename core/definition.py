"""From an agent rule, a push and its secrets to what is sent to Foundry, and the fingerprint that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.agents_file.spec import AgentSpec, ConnectionRef, SecretRef
from core.events import event_time
from core.image_manifest import ImageFacts
from core.model import Definition, Push, Secret, SecretUnavailable, SecretValue, Toolbox, Version
from core.reasons import Reason

SCHEMA = 1
"""Grows when the same rule and push would make another definition than before."""

FINGERPRINT = "slipway.fingerprint"
TAG = "slipway.tag"
TOOLBOX = "slipway.toolbox"
"""Metadata that names the toolbox version that a version uses."""
METADATA_VALUE = 512
"""Characters that the service keeps of a metadata value (docs/reference/wire.md)."""

PLATFORM_PREFIXES = ("FOUNDRY_", "AGENT_")
TOOLBOX_ENDPOINT = "SLIPWAY_TOOLBOX_ENDPOINT"
TOOLBOX_NAME = "SLIPWAY_TOOLBOX_NAME"


@dataclass(frozen=True, slots=True)
class ResolvedDefinition:
    """A definition with every reference followed."""

    definition: Definition
    fingerprint: str
    secrets: Mapping[str, str]
    """Secret name -> version id, of those that follow the newest version."""
    image: ImageFacts | None = None
    """What the registry said of the image, where it was asked."""
    toolbox: str = ""
    """The version of the toolbox that holds the rule's tools."""


@dataclass(frozen=True, slots=True)
class UnresolvedDefinition:
    """Why a rule cannot become a definition now."""

    reason: Reason
    detail: str


def secret_refs(spec: AgentSpec, tagged: Mapping[str, str]) -> Mapping[str, SecretRef] | UnresolvedDefinition:
    """Environment name -> secret, from the rule and from the vault's tags; a name that both give is a mistake."""
    written = {name: value for name, value in spec.env.items() if isinstance(value, SecretRef)}
    clash = sorted(set(spec.env) & set(tagged))
    if clash:
        return UnresolvedDefinition(
            Reason.ENV_CLASH, f"{clash[0]} is given by env and by the tag of secret {tagged[clash[0]]}"
        )
    return written | {name: SecretRef(secret=secret) for name, secret in tagged.items()}


def resolve(
    spec: AgentSpec,
    push: Push,
    login_server: str,
    secrets: Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]],
    toolbox: Toolbox | None,
    now: datetime,
    image: ImageFacts | None = None,
) -> ResolvedDefinition | UnresolvedDefinition:
    """Build the definition; ``secrets`` holds, per environment name, what was asked for and what came back."""
    if image is not None and image.reason:
        return UnresolvedDefinition(Reason[image.reason], image.detail)
    for variable, (ref, secret) in sorted(secrets.items()):
        if (wrong := secret_problem(secret, now)) is not None:
            return UnresolvedDefinition(wrong, f"secret {ref.secret} of variable {variable}")
    read = {variable: secret for variable, (_, secret) in secrets.items() if isinstance(secret, Secret)}
    definition = Definition(
        image=image_reference(login_server, push.repository, _digest(spec, push, image)),
        cpu=spec.cpu,
        memory=spec.memory,
        protocols=tuple(sorted(spec.protocols.items())),
        environment=_environment(spec, read, toolbox),
        more_definition=spec.more_definition,
    )
    newest = {ref.secret: read[variable].version for variable, (ref, _) in secrets.items() if ref.version is None}
    return ResolvedDefinition(
        definition, fingerprint(definition, read), newest, image, toolbox.version if toolbox else ""
    )


def image_reference(login_server: str, repository: str, digest: str) -> str:
    """Always by digest: a tag may mean something else a second later."""
    return f"{login_server}/{repository}@{digest}"


def _digest(spec: AgentSpec, push: Push, image: ImageFacts | None) -> str:
    """What was pushed, or its linux/amd64 child where the rule wants that and the registry named one."""
    return image.amd64 if spec.image == "amd64" and image is not None and image.amd64 else push.digest


def secret_problem(secret: Secret | SecretUnavailable, now: datetime) -> Reason | None:
    """Why a secret must not be used: Key Vault itself stops only disabled ones (docs/reference/wire.md)."""
    if isinstance(secret, SecretUnavailable):
        return {
            SecretUnavailable.MISSING: Reason.SECRET_MISSING,
            SecretUnavailable.DISABLED: Reason.SECRET_DISABLED,
            SecretUnavailable.FORBIDDEN: Reason.SECRET_FORBIDDEN,
        }[secret]
    if secret.expires_on is not None and secret.expires_on <= now:
        return Reason.SECRET_EXPIRED
    if secret.not_before is not None and now < secret.not_before:
        return Reason.SECRET_NOT_YET_VALID
    return None


def _environment(
    spec: AgentSpec, secrets: Mapping[str, Secret], toolbox: Toolbox | None
) -> Mapping[str, str | SecretValue]:
    environment: dict[str, str | SecretValue] = {}
    for name, value in spec.env.items():
        if isinstance(value, ConnectionRef):
            environment[name] = f"${{{{connections.{value.connection}}}}}"
        elif isinstance(value, str):
            environment[name] = value
    environment |= {name: secret.value for name, secret in secrets.items()}
    if toolbox is not None:
        environment |= {TOOLBOX_ENDPOINT: toolbox.endpoint, TOOLBOX_NAME: toolbox.name}
    return environment


def fingerprint(definition: Definition, secrets: Mapping[str, Secret]) -> str:
    """The sha256 of the canonical definition, in which a secret stands as ``name@version-id``.

    The toolbox's version is in it by the pinned address; the release, keep and tag settings are not.
    """
    named = {name: f"{secret.name}@{secret.version}" for name, secret in secrets.items()}
    plain = {name: value for name, value in definition.environment.items() if isinstance(value, str)}
    canonical = {
        "schema": SCHEMA,
        "image": definition.image,
        "cpu": definition.cpu,
        "memory": definition.memory,
        "protocols": definition.protocols,
        "environment": plain,
        "secrets": named,
        "more": definition.more_definition,
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def metadata(push: Push, resolved: ResolvedDefinition, previous: str | None, attempt: int) -> Mapping[str, str]:
    """What a version says about where it comes from: at most 16 pairs.

    ``enableVnextExperience`` is what azd and the official sample send with every hosted agent; it is harmless where
    the service no longer asks for it.
    """
    pairs = {
        FINGERPRINT: resolved.fingerprint,
        "slipway.schema": str(SCHEMA),
        "slipway.repository": push.repository,
        "slipway.digest": push.digest,
        TAG: push.tag,
        "slipway.event": push.event_id,
        "slipway.pushed_at": push.pushed_at.isoformat(),
        "slipway.previous": previous or "",
        "slipway.attempt": str(attempt),
        TOOLBOX: resolved.toolbox,
        "enableVnextExperience": "true",
    }
    return {key: value[:METADATA_VALUE] for key, value in pairs.items() if value}


def existing_definition(version: Version) -> ResolvedDefinition:
    """What a version that is there already comes to: nothing of it is made anew."""
    environment = dict.fromkeys(version.variables, "")
    made = version.metadata.get(FINGERPRINT) or f"version {version.number}"
    return ResolvedDefinition(Definition(version.image, "", "", (), environment), made, {})


def push_of_version(version: Version) -> Push | None:
    """The push that a version was made of, as far as it tells; None where not even its image names a digest."""
    told = version.metadata
    repository, _, digest = version.image.partition("/")[2].partition("@")
    repository, digest = told.get("slipway.repository", repository), told.get("slipway.digest", digest)
    if not repository or not digest:
        return None
    pushed_at = event_time(told.get("slipway.pushed_at", "")) or version.created_at
    return Push(repository, digest, told.get(TAG, ""), pushed_at, told.get("slipway.event", ""))


def own_variables(names: frozenset[str]) -> frozenset[str]:
    """The names that a rule can have set: the platform may add its own to a version."""
    return frozenset(name for name in names if not name.startswith(PLATFORM_PREFIXES))
