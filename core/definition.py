"""Builds the definition to send to Foundry from agent spec, push and secrets, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.agents_file.fields import check_variable
from core.agents_file.spec import AgentSpec, SecretRef
from core.events import event_time
from core.image_manifest import ImageFacts
from core.image_reference import DIGEST
from core.image_reference import TAG as TAG_GRAMMAR
from core.model import Definition, Push, Secret, SecretUnavailable, SecretValue, TaggedSecret, Toolbox, Version
from core.reasons import Reason
from core.secret_versions import LaggingSecret, LaterVersion, has_expired, starts_later
from core.timing import MAX_CLOCK_SKEW

SCHEMA = 1
"""Raised when the same spec and push would give another definition than before."""

FINGERPRINT = "slipway.fingerprint"
TAG = "slipway.tag"
TOOLBOX = "slipway.toolbox"
"""Metadata: the version of the toolbox that a version uses."""
SECRETS = ("slipway.secrets", "slipway.secrets_2", "slipway.secrets_3")
"""Metadata: ``VARIABLE=secret`` or ``VARIABLE=secret/version`` for each variable from the vault, separated by spaces.

What does not fit is left out: then today's agents.yaml says which secret a variable has.
"""
NO_SECRETS = "none"
"""Metadata of a version without secrets, unlike one that was made before the secrets were recorded."""
MAX_METADATA_VALUE_CHARS = 512
"""The service keeps no more of a metadata value (docs/reference/wire.md)."""

PLATFORM_PREFIXES = ("FOUNDRY_", "AGENT_")
TOOLBOX_ENDPOINT = "SLIPWAY_TOOLBOX_ENDPOINT"
TOOLBOX_NAME = "SLIPWAY_TOOLBOX_NAME"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that people must know about a definition."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class ResolvedDefinition:
    """A definition with all secrets, tools and image facts resolved."""

    definition: Definition
    fingerprint: str
    secrets: Mapping[str, str]
    """Secret name -> version id, for the secrets that follow the newest version."""
    image: ImageFacts | None = None
    """The facts of the image, if the registry was asked."""
    toolbox: str = ""
    """The version of the toolbox with the agent's tools."""
    lagging: LaggingSecret | None = None
    """The secret that may be older than an event says."""
    later: tuple[LaterVersion, ...] = ()
    """Secrets whose newest version starts later."""
    tagged: Mapping[str, TaggedSecret] | None = None
    """Variable -> the secret whose tags gave it; None for a version that exists."""
    notes: tuple[Note, ...] = ()
    """What a release of this definition records when it starts."""
    refs: Mapping[str, SecretRef] = field(default_factory=dict)
    """Variable -> its secret."""
    copied_from: str = ""
    """The version whose definition this is."""
    rollback_at: datetime | None = None
    """The time of the rollback that gave the definition."""
    secret_ids: tuple[str, ...] | None = None
    """``name@version`` of every secret whose value is in it; None for a version that exists."""


@dataclass(frozen=True, slots=True)
class UnresolvedDefinition:
    """Why there is no definition now."""

    reason: Reason
    detail: str
    lagging: LaggingSecret | None = None
    later: tuple[LaterVersion, ...] = ()


def secret_refs(spec: AgentSpec, tagged: Mapping[str, str]) -> Mapping[str, SecretRef] | UnresolvedDefinition:
    """Variable -> secret, from ``env`` and from the tags of secrets; both must not set the same variable.

    A tag must name a variable that ``env`` may set. Else nothing is released: the container may need the variable.
    """
    for variable, secret in sorted(tagged.items()):
        try:
            check_variable(variable)
        except ValueError as error:
            return UnresolvedDefinition(Reason.ENV_NAME_INVALID, f"tag env of secret {secret}: {error}")
    if clashes := sorted(set(spec.env) & set(tagged)):
        detail = f"{clashes[0]} is set by env and by the tag of secret {tagged[clashes[0]]}"
        return UnresolvedDefinition(Reason.ENV_CLASH, detail)
    from_env = {variable: value for variable, value in spec.env.items() if isinstance(value, SecretRef)}
    return from_env | {variable: SecretRef(secret=secret) for variable, secret in tagged.items()}


def resolve(
    spec: AgentSpec,
    push: Push,
    login_server: str,
    secrets: Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]],
    toolbox: Toolbox | None,
    now: datetime,
    image: ImageFacts | None = None,
) -> ResolvedDefinition | UnresolvedDefinition:
    """Build the definition; ``secrets`` has, for each variable, the reference and what Key Vault returned."""
    if (unusable := unusable_secret(secrets, now)) is not None:
        return unusable
    values = {variable: secret for variable, (_, secret) in secrets.items() if isinstance(secret, Secret)}
    digest = image.amd64 if spec.image == "amd64" and image is not None and image.amd64 else push.digest
    definition = Definition(
        image=f"{login_server}/{push.repository}@{digest}",  # never by tag, which can move at any time
        cpu=spec.cpu,
        memory=spec.memory,
        protocols=tuple(sorted(spec.protocols.items())),
        environment=_environment(spec, values, toolbox),
        more_definition=spec.more_definition,
    )
    toolbox_version = toolbox.version if toolbox else ""
    refs = {variable: ref for variable, (ref, _) in secrets.items()}
    found = fingerprint(definition, values)
    ids = tuple(sorted({secret.id for secret in values.values()}))
    return ResolvedDefinition(
        definition, found, newest_versions(secrets), image, toolbox_version, refs=refs, secret_ids=ids
    )


def unusable_secret(
    secrets: Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]], now: datetime
) -> UnresolvedDefinition | None:
    """Why a definition with these secrets cannot be made."""
    for variable, (ref, secret) in sorted(secrets.items()):
        if (reason := secret_problem(secret, now)) is not None:
            return UnresolvedDefinition(reason, f"secret {ref.secret} of variable {variable}")
    return None


def newest_versions(secrets: Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]]) -> Mapping[str, str]:
    """Secret -> the version that was read, for the secrets that follow the newest one."""
    read = ((ref, secret) for ref, secret in secrets.values() if ref.version is None)
    return {ref.secret: secret.version for ref, secret in read if isinstance(secret, Secret)}


def secret_problem(secret: Secret | SecretUnavailable, now: datetime) -> Reason | None:
    """Why a secret must not be used; Key Vault itself only refuses disabled ones (docs/reference/wire.md)."""
    if isinstance(secret, SecretUnavailable):
        return Reason[f"SECRET_{secret.name}"]
    if has_expired(secret, now):
        return Reason.SECRET_EXPIRED
    return Reason.SECRET_NOT_YET_VALID if starts_later(secret, now) else None


def _environment(
    spec: AgentSpec, secrets: Mapping[str, Secret], toolbox: Toolbox | None
) -> Mapping[str, str | SecretValue]:
    texts = {
        name: value if isinstance(value, str) else f"${{{{connections.{value.connection}}}}}"
        for name, value in spec.env.items()
        if not isinstance(value, SecretRef)
    }
    tools = {TOOLBOX_ENDPOINT: toolbox.endpoint, TOOLBOX_NAME: toolbox.name} if toolbox else {}
    return {**texts, **{name: secret.value for name, secret in secrets.items()}, **tools}


def fingerprint(definition: Definition, secrets: Mapping[str, Secret]) -> str:
    """The sha256 of the canonical definition, with ``name@version-id`` in place of each secret's value."""
    canonical = {
        "schema": SCHEMA,
        "image": definition.image,
        "cpu": definition.cpu,
        "memory": definition.memory,
        "protocols": definition.protocols,
        "environment": {name: value for name, value in definition.environment.items() if isinstance(value, str)},
        "secrets": {name: secret.id for name, secret in secrets.items()},
        "more": definition.more_definition,
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def metadata(push: Push, resolved: ResolvedDefinition, previous: str | None, attempt: int) -> Mapping[str, str]:
    """The metadata of a new version, at most 16 pairs."""
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
        "enableVnextExperience": "true",  # azd and the official sample send it with every hosted agent
        **_secrets_metadata(resolved.refs),
    }
    return {key: value[:MAX_METADATA_VALUE_CHARS] for key, value in pairs.items() if value}


def _secrets_metadata(refs: Mapping[str, SecretRef]) -> Mapping[str, str]:
    """The secrets of the variables in as many values as there may be; whole entries only, each of which fits."""
    values = ["" if refs else NO_SECRETS]
    for variable, ref in sorted(refs.items()):
        entry = f"{variable}={ref.secret}" + (f"/{ref.version}" if ref.version else "")
        longer = f"{values[-1]} {entry}".strip()
        values = [*values[:-1], longer] if len(longer) <= MAX_METADATA_VALUE_CHARS else [*values, entry]
    return dict(zip(SECRETS, values, strict=False))


def existing_definition(version: Version) -> ResolvedDefinition:
    """The definition of a version that exists; nothing of it is created again."""
    definition = Definition(version.image, "", "", (), dict.fromkeys(version.variables, ""))
    return ResolvedDefinition(definition, version.metadata.get(FINGERPRINT) or f"version {version.number}", {})


def push_of_version(version: Version, images: Mapping[str, ImageFacts] | None = None) -> Push | None:
    """The push that a version was created for, from its image and metadata; None if neither has a digest.

    Metadata can be anybody's. The image's repository counts, and the image's digest where ``images`` knows that the
    digest in the metadata is another image. A push is not after its version, whatever the metadata says.
    """
    saved, (repository, _, digest) = version.metadata, version.image.partition("/")[2].partition("@")
    named, tag = saved.get("slipway.digest", digest), saved.get(TAG, "")
    facts = (images or {}).get(named)
    is_other = named != digest and facts is not None and facts.amd64 != digest
    repository = repository if digest else saved.get("slipway.repository", repository)
    digest = digest if digest and (is_other or not DIGEST.fullmatch(named)) else named
    if not repository or not digest:
        return None
    at = event_time(saved.get("slipway.pushed_at", "")) or version.created_at
    pushed_at = at if at <= version.created_at + MAX_CLOCK_SKEW else version.created_at
    return Push(
        repository, digest, tag if TAG_GRAMMAR.fullmatch(tag) else "", pushed_at, saved.get("slipway.event", "")
    )


def definition_parts(definition: Definition) -> Mapping[str, str]:
    """A hash of each part that is compared: variables may hold secrets, and these never leave the process."""
    texts = {
        "cpu": definition.cpu,
        "memory": definition.memory,
        "protocols": " ".join(f"{name} {version.removeprefix('v')}" for name, version in sorted(definition.protocols)),
        **{
            f"variable {name}": value.reveal() if isinstance(value, SecretValue) else value
            for name, value in definition.environment.items()
        },
    }
    return {name: hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32] for name, text in texts.items()}


def differing_parts(version: Version, definition: Definition) -> list[str]:
    """What a version has that the definition does not ask for; metadata is a hint, which anybody can write."""
    return changed_parts(version, _all_parts(definition))


def plain_parts(definition: Definition) -> tuple[tuple[str, str], ...]:
    """Each part with its hash, which may be stored; with an empty text for each secret."""
    values = definition.environment.items()
    secrets = {f"variable {name}": "" for name, value in values if isinstance(value, SecretValue)}
    parts = _all_parts(definition)
    return tuple(sorted({**parts, **secrets}.items())) if parts else ()


def _all_parts(definition: Definition) -> Mapping[str, str]:
    """The image and a hash of each part; none where only the image is known."""
    return {"image": definition.image, **definition_parts(definition)} if definition.cpu else {}


def changed_parts(version: Version, expected: Mapping[str, str]) -> list[str]:
    """The parts of a version that are not as expected; an empty text expects any value.

    The platform's own variables, and further keys of the definition, which Foundry fills in, are not compared.
    """
    if not version.parts or not expected:  # of one of the two only the image is known
        return []
    actual = {"image": version.image, **version.parts}
    platform = tuple(f"variable {prefix}" for prefix in PLATFORM_PREFIXES)
    more = [name for name in actual if name not in expected and not name.startswith(platform)]
    return sorted(
        [*more, *(name for name, text in expected.items() if name not in actual or text not in ("", actual[name]))]
    )


def own_variables(names: frozenset[str]) -> frozenset[str]:
    """The variables that an agent spec can set; the platform adds its own to a version."""
    return frozenset(name for name in names if not name.startswith(PLATFORM_PREFIXES))
