"""Builds a definition and its fingerprint from agent spec, push and secrets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.spec import AgentSpec, SecretRef
from core.definition import ResolvedDefinition, UnresolvedDefinition, metadata, push_of_version, resolve, secret_refs
from core.image_manifest import ImageFacts
from core.model import Push, Secret, SecretUnavailable, SecretValue, Status, Toolbox, Version
from core.reasons import Reason

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
SECRET = Secret("hello-key", "0" * 32, SecretValue("canary-11"))
TOOLBOX = Toolbox("hello-agent-tools", "3", "https://p/toolboxes/hello-agent-tools/versions/3/mcp?api-version=v1")
ENV: dict[str, Any] = {"MODE": "fast", "KEY": {"secret": "hello-key"}, "CRM": {"connection": "crm.credentials.key"}}


def agent_spec(**keys: Any) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello", "env": ENV} | keys)


def resolved(
    spec: AgentSpec,
    secret: Secret | SecretUnavailable = SECRET,
    toolbox: Toolbox | None = None,
    version: str | None = None,
) -> ResolvedDefinition | UnresolvedDefinition:
    refs = {"KEY": (SecretRef(secret="hello-key", version=version), secret)}
    return resolve(spec, PUSH, "demo.azurecr.io", refs, toolbox, NOW)


def definition(*keys: Any) -> ResolvedDefinition:
    result = resolved(*keys)
    assert isinstance(result, ResolvedDefinition)
    return result


def test_the_definition_has_the_values_of_the_spec_and_the_image_by_digest() -> None:
    result = definition(agent_spec(more_definition={"telemetry_config": {}}), SECRET, TOOLBOX).definition
    assert result.image == f"demo.azurecr.io/agents/hello@{PUSH.digest}"
    assert (result.cpu, result.memory, result.protocols) == ("1", "2Gi", (("responses", "2.0.0"),))
    assert result.environment == {
        "MODE": "fast",
        "KEY": SecretValue("canary-11"),
        "CRM": "${{connections.crm.credentials.key}}",
        "SLIPWAY_TOOLBOX_ENDPOINT": TOOLBOX.endpoint,
        "SLIPWAY_TOOLBOX_NAME": "hello-agent-tools",
    }
    assert result.more_definition == {"telemetry_config": {}}


def test_a_secret_value_is_never_shown() -> None:
    result = definition(agent_spec())
    assert "canary-11" not in repr(result) + str(result) + repr(SECRET) + repr(SECRET.value)
    assert "canary-11" not in result.fingerprint
    assert len({SecretValue("a"), SecretValue("a"), SecretValue("b")}) == 2


def test_the_newest_version_of_a_secret_is_recorded_and_a_fixed_one_is_not() -> None:
    assert definition(agent_spec()).secrets == {"hello-key": "0" * 32}
    result = resolved(agent_spec(), version="0" * 32)
    assert isinstance(result, ResolvedDefinition)
    assert result.secrets == {}


@pytest.mark.parametrize(
    ("keys", "same"),
    [
        pytest.param({}, True, id="nothing changed"),
        pytest.param({"release": {"debounce": "1m"}}, True, id="how it goes live"),
        pytest.param({"keep": {"newest": 1}}, True, id="which versions stay"),
        pytest.param({"tags": {"order": "semver"}}, True, id="which tags"),
        pytest.param({"env": dict(reversed(ENV.items()))}, True, id="the order of variables"),
        pytest.param({"cpu": "2"}, False, id="cpu"),
        pytest.param({"memory": "4Gi"}, False, id="memory"),
        pytest.param({"env": ENV | {"MODE": "slow"}}, False, id="a value"),
        pytest.param({"protocols": {"responses": "1.0.0"}}, False, id="a protocol"),
        pytest.param({"more_definition": {"a": 1}}, False, id="another key"),
    ],
)
def test_the_fingerprint_changes_only_with_what_runs(keys: dict[str, Any], same: bool) -> None:
    assert (definition(agent_spec(**keys)).fingerprint == definition(agent_spec()).fingerprint) is same


def test_the_fingerprint_changes_with_the_version_of_a_secret_or_toolbox_not_with_a_value() -> None:
    plain = definition(agent_spec()).fingerprint
    rotated = Secret("hello-key", "1" * 32, SECRET.value)
    assert definition(agent_spec(), rotated).fingerprint != plain
    assert definition(agent_spec(), Secret("hello-key", "0" * 32, SecretValue("other"))).fingerprint == plain
    assert definition(agent_spec(), SECRET, TOOLBOX).fingerprint != plain


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (SecretUnavailable.MISSING, Reason.SECRET_MISSING),
        (SecretUnavailable.DISABLED, Reason.SECRET_DISABLED),
        (SecretUnavailable.FORBIDDEN, Reason.SECRET_FORBIDDEN),
        (Secret("hello-key", "0", SECRET.value, expires_on=NOW), Reason.SECRET_EXPIRED),
        (Secret("hello-key", "0", SECRET.value, not_before=NOW + timedelta(1)), Reason.SECRET_NOT_YET_VALID),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_a_secret_that_must_not_be_used_is_named_with_its_variable(
    secret: Secret | SecretUnavailable, reason: Reason
) -> None:
    assert resolved(agent_spec(), secret) == UnresolvedDefinition(reason, "secret hello-key of variable KEY")


def test_a_secret_within_its_dates_is_used() -> None:
    dated = Secret("hello-key", "0" * 32, SECRET.value, NOW + timedelta(1), NOW)
    assert isinstance(resolved(agent_spec(), dated), ResolvedDefinition)


def test_variables_come_from_env_or_from_tags_but_never_from_both() -> None:
    refs = secret_refs(agent_spec(), {"OTHER": "other-key"})
    assert refs == {"KEY": SecretRef(secret="hello-key"), "OTHER": SecretRef(secret="other-key")}
    clash = secret_refs(agent_spec(), {"MODE": "mode-key"})
    assert clash == UnresolvedDefinition(Reason.ENV_CLASH, "MODE is set by env and by the tag of secret mode-key")


def test_metadata_keeps_the_services_limits() -> None:
    result = resolved(agent_spec())
    assert isinstance(result, ResolvedDefinition)
    result = replace(result, toolbox="3")
    pairs = metadata(Push("r" * 600, PUSH.digest, "v1", NOW, "e"), result, "7", 2)
    assert len(pairs) <= 16
    assert all(len(key) <= 64 and 0 < len(value) <= 512 for key, value in pairs.items())
    assert (pairs["slipway.previous"], pairs["slipway.attempt"], pairs["slipway.toolbox"]) == ("7", "2", "3")
    assert not {"slipway.previous", "slipway.toolbox"} & set(metadata(PUSH, replace(result, toolbox=""), None, 1))


A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def made_for(image: str, **saved: str) -> Version:
    pairs = {f"slipway.{key}": value for key, value in saved.items()}
    return Version("7", Status.ACTIVE, NOW, image, frozenset(), pairs)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        pytest.param({}, Push("agents/hello", A, "", NOW, ""), id="no metadata"),
        pytest.param({"digest": B, "tag": "v1"}, Push("agents/hello", B, "v1", NOW, ""), id="the index of the image"),
        pytest.param({"digest": "latest"}, Push("agents/hello", A, "", NOW, ""), id="not a digest"),
        pytest.param({"repository": "agents/other"}, Push("agents/hello", A, "", NOW, ""), id="another repository"),
        pytest.param({"tag": "v1 \x1b]52;"}, Push("agents/hello", A, "", NOW, ""), id="not a tag"),
        pytest.param(
            {"pushed_at": "9998-01-01T00:00:00Z"}, Push("agents/hello", A, "", NOW, ""), id="after the version"
        ),
        pytest.param({"pushed_at": "soon"}, Push("agents/hello", A, "", NOW, ""), id="not a time"),
    ],
)
def test_the_image_counts_where_metadata_says_what_cannot_be(saved: dict[str, str], expected: Push) -> None:
    assert push_of_version(made_for(f"demo.azurecr.io/agents/hello@{A}", **saved)) == expected


@pytest.mark.parametrize(
    ("facts", "digest"),
    [(None, B), (ImageFacts(amd64=A), B), (ImageFacts(amd64=B), A), (ImageFacts(amd64=C), A), (ImageFacts(), A)],
)
def test_a_digest_in_metadata_that_is_known_to_be_another_image_does_not_count(
    facts: ImageFacts | None, digest: str
) -> None:
    version = made_for(f"demo.azurecr.io/agents/hello@{A}", digest=B)
    push = push_of_version(version, {B: facts} if facts else {})
    assert push is not None
    assert push.digest == digest


def test_an_image_without_a_digest_has_only_its_metadata() -> None:
    assert push_of_version(made_for("demo.azurecr.io/agents/hello:v1")) is None
    push = push_of_version(made_for("demo.azurecr.io/hello:v1", repository="agents/hello", digest=A))
    assert push == Push("agents/hello", A, "", NOW, "")


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("PORT", "PORT is reserved"),
        ("FOUNDRY_X", "FOUNDRY_X is reserved"),
        ("SLIPWAY_X", "SLIPWAY_X is reserved"),
        ("MY-KEY", "'MY-KEY' is not a variable name"),
        ("1KEY", "'1KEY' is not a variable name"),
        ("", "a variable's name is empty"),
        ("A" * 256, "is too long"),
    ],
)
def test_a_tag_must_name_a_variable_that_env_may_set(variable: str, problem: str) -> None:
    refused = secret_refs(agent_spec(), {"OK": "good", variable: "bad-tag"})
    assert isinstance(refused, UnresolvedDefinition)
    assert refused.reason is Reason.ENV_NAME_INVALID
    assert refused.detail.startswith("tag env of secret bad-tag: ")
    assert problem in refused.detail
