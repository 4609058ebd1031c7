"""Copies the definition of an existing version with the secrets of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from core.agents_file.spec import AgentSpec, SecretRef
from core.copied_definition import copy_definition, names_every_secret, refs_of_version
from core.definition import NO_SECRETS, SECRETS, ResolvedDefinition, UnresolvedDefinition, metadata, resolve
from core.model import DefinedVersion, Push, Secret, SecretUnavailable, SecretValue, Status, Toolbox, Version
from core.reasons import Reason

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
OLD, NEW = (
    Secret("hello-key", "0" * 32, SecretValue("canary-11")),
    Secret("hello-key", "1" * 32, SecretValue("canary-12")),
)
PINNED = Secret("fixed-key", "2" * 32, SecretValue("canary-13"))
FOLLOWS, FIXED = SecretRef(secret="hello-key"), SecretRef(secret="fixed-key", version="2" * 32)
TOOLBOX = Toolbox("hello-agent-tools", "3", "https://p/toolboxes/hello-agent-tools/versions/3/mcp?api-version=v1")


def made(secrets: Mapping[str, tuple[SecretRef, Secret | SecretUnavailable]]) -> ResolvedDefinition:
    env = {"MODE": "fast", "CRM": {"connection": "crm.credentials.key"}}
    spec = AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello", "env": env})
    found = resolve(spec, PUSH, "demo.azurecr.io", secrets, TOOLBOX, NOW)
    assert isinstance(found, ResolvedDefinition)
    return found


def as_read(resolved: ResolvedDefinition) -> DefinedVersion:
    """The version as Foundry returns it, with a variable of the platform's own."""
    definition = resolved.definition
    values = {
        name: value if isinstance(value, SecretValue) else SecretValue(value)
        for name, value in {**definition.environment, "FOUNDRY_X": "y"}.items()
    }
    pairs = metadata(PUSH, resolved, None, 1)
    version = Version("7", Status.ACTIVE, NOW, definition.image, frozenset(values), dict(pairs))
    return DefinedVersion(version, replace(definition, environment=values))


BOTH: dict[str, tuple[SecretRef, Secret | SecretUnavailable]] = {"KEY": (FOLLOWS, OLD), "FIX": (FIXED, PINNED)}


def test_with_the_same_secrets_it_is_the_definition_of_the_version() -> None:
    first = made(BOTH)
    copied = copy_definition(as_read(first), BOTH, NOW)
    assert isinstance(copied, ResolvedDefinition)
    assert copied.fingerprint == first.fingerprint
    assert (copied.copied_from, copied.toolbox, copied.secrets) == ("7", "3", {"hello-key": "0" * 32})
    assert set(copied.definition.environment) == set(first.definition.environment)


def test_a_newer_secret_replaces_the_value_and_nothing_else() -> None:
    first = made(BOTH)
    copied = copy_definition(as_read(first), {**BOTH, "KEY": (FOLLOWS, NEW)}, NOW)
    assert isinstance(copied, ResolvedDefinition)
    assert copied.fingerprint == made({**BOTH, "KEY": (FOLLOWS, NEW)}).fingerprint
    assert copied.definition.environment["KEY"] == NEW.value
    assert copied.definition.environment["MODE"] == SecretValue("fast"), "it may be a secret"
    assert copied.definition.image == first.definition.image


def test_a_version_without_secrets_stays_itself() -> None:
    first = made({})
    copied = copy_definition(as_read(first), {}, NOW)
    assert isinstance(copied, ResolvedDefinition)
    assert copied.fingerprint == first.fingerprint
    assert metadata(PUSH, first, None, 1)[SECRETS[0]] == NO_SECRETS


def test_a_secret_that_must_not_be_used_is_named() -> None:
    unusable = copy_definition(as_read(made(BOTH)), {"KEY": (FOLLOWS, SecretUnavailable.DISABLED)}, NOW)
    assert unusable == UnresolvedDefinition(Reason.SECRET_DISABLED, "secret hello-key of variable KEY")


def test_a_version_names_its_secrets() -> None:
    version = as_read(made(BOTH)).version
    assert names_every_secret(version)
    assert refs_of_version(version, {"MODE": FOLLOWS, "GONE": FOLLOWS}) == {
        "KEY": FOLLOWS,
        "FIX": FIXED,
        "MODE": FOLLOWS,
    }
    assert refs_of_version(as_read(made({})).version, {}) == {}


def test_an_older_version_has_those_of_today() -> None:
    version = replace(as_read(made(BOTH)).version, metadata={})
    assert not names_every_secret(version)
    assert refs_of_version(version, {"KEY": FOLLOWS, "OTHER": FOLLOWS}) == {"KEY": FOLLOWS}


def test_what_does_not_fit_is_left_out_whole() -> None:
    many = {f"VARIABLE_{number:03}": (FOLLOWS, OLD) for number in range(150)}
    version = as_read(made(many)).version
    assert not names_every_secret(version)
    assert all(len(version.metadata[key]) <= 512 for key in SECRETS)
    refs = refs_of_version(version, {})
    assert 40 < len(refs) < 150
    assert set(refs.values()) == {FOLLOWS}
