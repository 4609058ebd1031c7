"""From a rule, a push and its secrets to a definition and its fingerprint."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.spec import AgentSpec, SecretRef
from core.definition import ResolvedDefinition, UnresolvedDefinition, metadata, resolve, secret_refs
from core.model import Push, Secret, SecretUnavailable, SecretValue, Toolbox
from core.reasons import Reason

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
SECRET = Secret("hello-key", "0" * 32, SecretValue("canary-11"))
TOOLBOX = Toolbox("hello-agent-tools", "3", "https://p/toolboxes/hello-agent-tools/versions/3/mcp?api-version=v1")
ENV: dict[str, Any] = {"MODE": "fast", "KEY": {"secret": "hello-key"}, "CRM": {"connection": "crm.credentials.key"}}


def rule(**given: Any) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello", "env": ENV} | given)


def resolved(
    rule_: AgentSpec,
    secret: Secret | SecretUnavailable = SECRET,
    toolbox: Toolbox | None = None,
    version: str | None = None,
) -> ResolvedDefinition | UnresolvedDefinition:
    refs = {"KEY": (SecretRef(secret="hello-key", version=version), secret)}
    return resolve(rule_, PUSH, "demo.azurecr.io", refs, toolbox, NOW)


def definition(*given: Any) -> ResolvedDefinition:
    found = resolved(*given)
    assert isinstance(found, ResolvedDefinition)
    return found


def test_the_definition_is_what_the_rule_says_by_digest() -> None:
    found = definition(rule(more_definition={"telemetry_config": {}}), SECRET, TOOLBOX).definition
    assert found.image == f"demo.azurecr.io/agents/hello@{PUSH.digest}"
    assert (found.cpu, found.memory, found.protocols) == ("1", "2Gi", (("responses", "2.0.0"),))
    assert found.environment == {
        "MODE": "fast",
        "KEY": SecretValue("canary-11"),
        "CRM": "${{connections.crm.credentials.key}}",
        "SLIPWAY_TOOLBOX_ENDPOINT": TOOLBOX.endpoint,
        "SLIPWAY_TOOLBOX_NAME": "hello-agent-tools",
    }
    assert found.more_definition == {"telemetry_config": {}}


def test_a_secret_value_shows_itself_to_nobody() -> None:
    found = definition(rule())
    assert "canary-11" not in repr(found) + str(found) + repr(SECRET) + repr(SECRET.value)
    assert "canary-11" not in found.fingerprint
    assert len({SecretValue("a"), SecretValue("a"), SecretValue("b")}) == 2


def test_the_newest_version_is_noted_and_a_pinned_one_is_not() -> None:
    assert definition(rule()).secrets == {"hello-key": "0" * 32}
    found = resolved(rule(), version="0" * 32)
    assert isinstance(found, ResolvedDefinition)
    assert found.secrets == {}


@pytest.mark.parametrize(
    ("given", "same"),
    [
        pytest.param({}, True, id="nothing changed"),
        pytest.param({"release": {"debounce": "1m"}}, True, id="how it goes live"),
        pytest.param({"keep": {"newest": 1}}, True, id="what stays"),
        pytest.param({"tags": {"order": "semver"}}, True, id="which pushes"),
        pytest.param({"env": dict(reversed(ENV.items()))}, True, id="the order of variables"),
        pytest.param({"cpu": "2"}, False, id="cpu"),
        pytest.param({"memory": "4Gi"}, False, id="memory"),
        pytest.param({"env": ENV | {"MODE": "slow"}}, False, id="a value"),
        pytest.param({"protocols": {"responses": "1.0.0"}}, False, id="a protocol"),
        pytest.param({"more_definition": {"a": 1}}, False, id="another field"),
    ],
)
def test_the_fingerprint_changes_with_what_runs_and_with_nothing_else(given: dict[str, Any], same: bool) -> None:
    assert (definition(rule(**given)).fingerprint == definition(rule()).fingerprint) is same


def test_the_fingerprint_changes_with_the_version_of_a_secret_or_toolbox_not_with_a_value() -> None:
    plain = definition(rule()).fingerprint
    rotated = Secret("hello-key", "1" * 32, SECRET.value)
    assert definition(rule(), rotated).fingerprint != plain
    assert definition(rule(), Secret("hello-key", "0" * 32, SecretValue("other"))).fingerprint == plain
    assert definition(rule(), SECRET, TOOLBOX).fingerprint != plain


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
    assert resolved(rule(), secret) == UnresolvedDefinition(reason, "secret hello-key of variable KEY")


def test_a_secret_within_its_dates_is_fine() -> None:
    dated = Secret("hello-key", "0" * 32, SECRET.value, NOW + timedelta(1), NOW)
    assert isinstance(resolved(rule(), dated), ResolvedDefinition)


def test_variables_come_from_the_rule_and_from_tags_but_never_from_both() -> None:
    refs = secret_refs(rule(), {"OTHER": "other-key"})
    assert refs == {"KEY": SecretRef(secret="hello-key"), "OTHER": SecretRef(secret="other-key")}
    clash = secret_refs(rule(), {"MODE": "mode-key"})
    assert clash == UnresolvedDefinition(Reason.ENV_CLASH, "MODE is set by env and by the tag of secret mode-key")


def test_metadata_keeps_the_services_limits() -> None:
    made = resolved(rule())
    assert isinstance(made, ResolvedDefinition)
    made = replace(made, toolbox="3")
    pairs = metadata(Push("r" * 600, PUSH.digest, "v1", NOW, "e"), made, "7", 2)
    assert len(pairs) <= 16
    assert all(len(key) <= 64 and 0 < len(value) <= 512 for key, value in pairs.items())
    assert (pairs["slipway.previous"], pairs["slipway.attempt"], pairs["slipway.toolbox"]) == ("7", "2", "3")
    assert not {"slipway.previous", "slipway.toolbox"} & set(metadata(PUSH, replace(made, toolbox=""), None, 1))
