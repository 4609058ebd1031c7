"""From a push to the live version that the SDK returns, through the real triggers and the real SDKs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.ai.projects.models import AgentVersionDetails
from azure.core.exceptions import ResourceNotFoundError

from core.agents_file.spec import Agents
from infra.hooks import smoke
from infra.hooks.azure_client import Azure
from infra.hooks.prepackage import read_agents_file
from local.credentials import AsyncLocalCredential
from local.endpoints import ROOT
from local.stack_client import StackClient, eventually, stack
from tests.support.builders import REGISTRY

pytestmark = pytest.mark.timeout(300)

AGENT, REPOSITORY = "support-agent", "agents/support"
CANARY = "canary-7d1f-secret-value"


@pytest.fixture(scope="module", params=["queue", "straight"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    with stack(tmp_path_factory.mktemp("stack"), "--deliver", request.param) as client:
        client.put("vault", "/_local/secrets/support-search-key", {"value": CANARY})
        client.put("foundry", "/_local/provisioning", {"seconds": 1})
        yield client


def live_version(running: StackClient) -> AgentVersionDetails | None:
    """The version that the selector names, as the SDK returns it."""
    with running.foundry() as project:
        try:
            agent: Any = project.agents.get(AGENT)
        except ResourceNotFoundError:
            return None
        (rule,) = agent.agent_endpoint["version_selector"]["version_selection_rules"]
        assert rule["traffic_percentage"] == 100
        if rule["agent_version"] == "@latest":
            return None  # the agent was never pinned
        return project.agents.get_version(AGENT, rule["agent_version"])


def numbers(running: StackClient) -> list[str]:
    with running.foundry() as project:
        return sorted(version.version for version in project.agents.list_versions(AGENT))


def test_a_pushed_image_goes_live_with_its_secret(running: StackClient) -> None:
    digest = running.push(REPOSITORY, "1.0.0", "one")
    version = eventually(lambda: live_version(running), "version 1 is live")
    assert version.version == "1"
    assert version.status == "active"
    definition: Any = version.definition
    assert definition["container_configuration"]["image"] == f"demo.azurecr.io/{REPOSITORY}@{digest}"
    environment = definition["environment_variables"]
    assert environment["SEARCH_KEY"] == CANARY
    assert environment["MODEL_NAME"] == "gpt-4o-mini"
    assert environment["CRM_TOKEN"] == "${{connections.crm.credentials.key}}"
    assert environment["SLIPWAY_TOOLBOX_NAME"] == f"{AGENT}-tools"
    assert environment["SLIPWAY_TOOLBOX_ENDPOINT"].endswith(f"/toolboxes/{AGENT}-tools/versions/1/mcp?api-version=v1")
    assert definition["session_configuration"] == {"idle_timeout_seconds": 900}
    eventually(lambda: running.journal("LIVE"), "the decision arrived at Application Insights")


def test_a_second_tag_of_the_same_digest_creates_no_second_version(running: StackClient) -> None:
    running.push(REPOSITORY, "1.0.1", "one")
    eventually(lambda: running.journal("ALREADY_LIVE"), "the second tag was handled")
    assert numbers(running) == ["1"]


def test_pushes_that_are_not_deployable_are_skipped_with_a_reason(running: StackClient) -> None:
    running.push(REPOSITORY, f"sha256-{'0' * 64}.sig", kind="signature")
    running.push(REPOSITORY, "2.0.0", "two")
    running.push("agents/nobody", "1.0.0")
    running.push(REPOSITORY, "1.5.0-dev", kind="index", salt="dev")
    reasons = ("ARTIFACT_TAG", "TAG_NOT_ALLOWED", "NOT_FOLLOWED", "TAG_IGNORED", "UNTAGGED_PUSH")
    for reason in reasons:
        eventually(lambda reason=reason: running.journal(reason), reason)  # type: ignore[misc]
    assert numbers(running) == ["1"]


def test_a_newer_push_is_created_beside_the_live_version_and_then_gets_the_traffic(running: StackClient) -> None:
    running.push(REPOSITORY, "1.1.0", "newer")

    def second() -> AgentVersionDetails | None:
        version = live_version(running)
        return version if version is not None and version.version == "2" else None

    version = eventually(second, "version 2 is live")
    assert version.metadata is not None
    assert version.metadata["slipway.tag"] == "1.1.0"
    assert version.metadata["slipway.previous"] == "1"
    eventually(lambda: [line for line in running.journal("LIVE") if line["slipway.version"] == "2"], "it was reported")
    moved = [line for line in running.journal("TRAFFIC_MOVED") if line["slipway.version"] == "2"]
    assert len(moved) == 1


def test_an_image_for_another_platform_is_rejected_before_a_version_is_created(running: StackClient) -> None:
    running.push(REPOSITORY, "1.2.0", "arm", kind="arm64")
    decisions = eventually(lambda: running.journal("WRONG_PLATFORM"), "the rejection was reported")
    assert "arm64" in decisions[0]["slipway.detail"]
    assert numbers(running) == ["1", "2"]


def test_an_image_that_cannot_start_leaves_the_old_version_live(running: StackClient) -> None:
    error = {"code": "ImageError", "message": "the container exited with code 1"}
    running.put("foundry", "/_local/provisioning", {"seconds": 1, "fail": {"1.2.1": error}})
    running.push(REPOSITORY, "1.2.1", "broken")
    decisions = eventually(lambda: running.journal("IMAGE_ERROR"), "the failure was reported")
    assert "exited with code 1" in decisions[0]["slipway.detail"]
    assert numbers(running) == ["1", "2", "3"]
    version = live_version(running)
    assert version is not None
    assert version.version == "2"


def test_the_smoke_check_of_a_deployment_is_handled_and_changes_nothing(running: StackClient) -> None:
    agents = read_agents_file(ROOT / "agents.yaml")
    assert isinstance(agents, Agents)
    event_id, now = f"smoke-{uuid.uuid4()}", datetime.now(UTC)
    env = {"AZURE_STORAGE_ACCOUNT_NAME": "local", **running.endpoints["env"]}
    with Azure(env, AsyncLocalCredential(), connection_verify=running.endpoints["ca"]) as azure:
        before = azure.desired_etags()
        azure.send_event(smoke.event(agents, REGISTRY, event_id, now))
        lines = eventually(lambda: smoke.answers(azure.journal(now), event_id), "the decision is in the journal")
        after = azure.desired_etags()
    assert {finding.level for finding in smoke.judge(lines, before, after, 1)} == {"ok"}
    assert lines[0]["agent"] == "hello-agent"


def test_no_secret_value_is_in_storage_logs_or_telemetry(running: StackClient) -> None:
    assert running.journal("LIVE"), "a version with the secret was released"
    stored = b"".join(path.read_bytes() for path in (running.folder / "storage").iterdir())
    assert CANARY.encode() not in stored
    assert CANARY not in running.logs()
    assert CANARY not in str(running.get("telemetry", "/_local/items"))
    assert CANARY not in str(running.get("foundry", "/_local/requests"))
