"""Copies the definition of an existing version with the secrets of today, as a rotation after a rollback needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import SecretRef
from core.definition import (
    SECRETS,
    TOOLBOX,
    ResolvedDefinition,
    UnresolvedDefinition,
    existing_definition,
    fingerprint,
    newest_versions,
    own_variables,
    unusable_secret,
)
from core.model import DefinedVersion, Secret, SecretUnavailable, SecretValue, Version


def copy_definition(
    copied: DefinedVersion, secrets: Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]], now: datetime
) -> ResolvedDefinition | UnresolvedDefinition:
    """The definition of an existing version with the secrets of today; with the same secrets it is that of the version.

    A value that is not replaced stays marked as a secret: it may be one.
    """
    if (unusable := unusable_secret(secrets, now)) is not None:
        return unusable
    values = {variable: secret for variable, (_, secret) in secrets.items() if isinstance(secret, Secret)}
    before = {name: copied.definition.environment[name] for name in own_variables(copied.version.variables)}
    environment = {**before, **{variable: secret.value for variable, secret in values.items()}}
    definition = replace(copied.definition, environment=environment)
    texts = {name: value.reveal() if isinstance(value, SecretValue) else value for name, value in before.items()}
    named = replace(definition, environment={**texts, **{name: environment[name] for name in values}})
    return ResolvedDefinition(
        definition,
        fingerprint(named, values) if values else existing_definition(copied.version).fingerprint,
        newest_versions(secrets),
        toolbox=copied.version.metadata.get(TOOLBOX, ""),
        refs={variable: ref for variable, (ref, _) in secrets.items()},
        copied_from=copied.version.number,
        secret_ids=tuple(sorted({item.id for item in values.values()})) if names_every_secret(copied.version) else None,
    )


def names_every_secret(version: Version) -> bool:
    """True where the metadata of a version names each of its secrets: they are there, and not full."""
    return SECRETS[0] in version.metadata and SECRETS[-1] not in version.metadata


def refs_of_version(version: Version, today: Mapping[str, SecretRef]) -> Mapping[str, SecretRef]:
    """Variable -> secret of an existing version: as its metadata says, or else as today's agents.yaml and tags say."""
    words = " ".join(version.metadata.get(key, "") for key in SECRETS).split()
    recorded = dict[str, SecretRef]()
    for variable, is_entry, secret in (word.partition("=") for word in words):
        name, _, number = secret.partition("/")
        recorded |= {variable: SecretRef.model_construct(secret=name, version=number or None)} if is_entry else {}
    return {name: ref for name, ref in {**today, **recorded}.items() if name in version.variables}
