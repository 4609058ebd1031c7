"""docs/reference/from-the-seed.md: its Python blocks run unchanged, and its statements are true."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pytest
from azure.ai.projects import models
from azure.ai.projects.operations import AgentsOperations

from core.agents_file.loader import load_agents
from core.agents_file.spec import AgentSpec
from core.definition import ResolvedDefinition, resolve
from core.model import Push, Toolbox
from core.reasons import Reason, from_service
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.foundry.mapping import definition_to
from handlers.gateways.foundry.toolboxes import canonical
from handlers.gateways.in_memory.clock import ManualClock
from handlers.settings import Settings
from local.foundry.server import Foundry
from local.managed_identity import IDENTITY_HEADER, ManagedIdentity
from local.tls import Authority

PAGE = (Path(__file__).parents[2] / "docs/reference/from-the-seed.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).)*?^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
YAML = "".join(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
DIGEST = "sha256:3b1c9f0e7a5d42868c17e0f4d2a96b35c8e1f7094a6b2d3e5f8091a7c4b6d2e0"
NOW = datetime(2026, 11, 24, tzinfo=UTC)

CODE_OF_THE_SEED = """
    azure-ai-projects>=2.0.0b3 azure-identity azure.identity.aio azure.ai.projects.aio azure.ai.projects.models
    DefaultAzureCredential AIProjectClient ImageBasedHostedAgentDefinition ProtocolVersionRecord AgentProtocol
    AgentProtocol.RESPONSES create_version list_versions delete_version agent_name definition endpoint credential
    container_protocol_versions list[ProtocolVersionRecord] image str cpu memory tools list[dict] environment_variables
    protocol version agent.name agent.version agent.state version.version version.state "v1"
    AZURE_AI_PROJECT_ENDPOINT MODEL_NAME LOG_LEVEL CUSTOM_CONFIG MAX_RETRIES
    AcrPull enablePublicHostingEnvironment=true 0.5 1 4 1Gi 2Gi 8Gi
    code_interpreter file_search mcp server_label server_url latest await create_hosted_agent
    create_hosted_agent_async https://<resource>.services.ai.azure.com/api/projects/<project>
    ImagePullBackOff InvalidContainerImage CapabilityHostNotFound ProtocolVersionNotSupported
"""
TEXT_OF_THE_SEED = """
    `dict[str, str]`; `async with`; | container image in ACR; | capability host; | SDK version; | several tools
    ## Installation; ## Authentication; ### Create; ### List; ### Delete; ### Asynchronously; ### Protocols
    ### Resources; ### Environment variables; ## Tools; ## The complete example; ## Common errors; ## Best practices
    | version images; | minimal resources; | environment variables for; | error handling; | cleanup; Key Vault
    <https://pypi.org/project/azure-ai-projects/>; <https://learn.microsoft.com/azure/container-registry/>
    <https://learn.microsoft.com/azure/ai-services/agents/how-to/hosted-agents>
"""
EXTERNAL_NAMES = {*CODE_OF_THE_SEED.split(), "SLIPWAY_TOOLBOX_ENDPOINT", "SLIPWAY_TOOLBOX_NAME"}


@dataclass
class Sandbox:
    """The stand-in, and a process for each block that finds it by environment variables."""

    foundry: Foundry
    clock: ManualClock
    env: dict[str, str]

    async def run(self, block: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BLOCKS[block]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.env,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return output.decode().splitlines()

    def definition(self, agent: str, number: str = "1") -> dict[str, Any]:
        return self.foundry.project.agents[agent].versions[number].definition


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    clock, authority, identity = ManualClock(), Authority(tmp_path), ManagedIdentity()
    foundry = Foundry(clock=lambda: clock.now().timestamp())
    url, tokens = await foundry.start(tls=authority.server()), await identity.start()
    env = {
        "FOUNDRY_PROJECT_ENDPOINT": f"{url}/api/projects/demo",
        "SSL_CERT_FILE": str(authority.ca),
        "REQUESTS_CA_BUNDLE": str(authority.ca),
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "IDENTITY_ENDPOINT": f"{tokens}/msi/token",
        "IDENTITY_HEADER": IDENTITY_HEADER,
    }
    yield Sandbox(foundry, clock, env)
    await foundry.stop()
    await identity.stop()


def spec() -> AgentSpec:
    return load_agents(YAML.encode()).agents["my-agent"]


def definition_of_spec(toolbox: Toolbox | None) -> dict[str, Any]:
    push = Push(spec().repository, DIGEST, "v1.0", NOW, "event-1")
    resolved = resolve(spec(), push, "myregistry.azurecr.io", {}, toolbox, NOW)
    assert isinstance(resolved, ResolvedDefinition)
    return definition_to(resolved.definition)


async def test_create_from_an_image_sends_the_definition_of_the_agent_spec(sandbox: Sandbox) -> None:
    assert await sandbox.run("Create from an image") == ["my-agent 1 creating"]
    assert sandbox.definition("my-agent") == definition_of_spec(None)


async def test_tools_through_a_toolbox_send_the_definition_of_the_agent_spec(sandbox: Sandbox) -> None:
    assert await sandbox.run("Tools through a toolbox") == ["my-agent-tools 1 1"]
    (toolbox,) = sandbox.foundry.project.toolboxes["my-agent-tools"]["versions"]
    endpoint = f"{sandbox.env['FOUNDRY_PROJECT_ENDPOINT']}/toolboxes/my-agent-tools/versions/1/mcp?api-version=v1"
    assert canonical(toolbox["tools"]) == canonical(spec().tools)
    assert sandbox.definition("my-agent") == definition_of_spec(Toolbox("my-agent-tools", "1", endpoint))


async def test_list_versions_prints_the_status_of_each_version(sandbox: Sandbox) -> None:
    await sandbox.run("Create from an image")
    sandbox.clock.passed += 60
    await sandbox.run("Tools through a toolbox")
    assert await sandbox.run("List versions") == ["1 active", "2 creating"]


async def test_a_failed_version_has_an_error(sandbox: Sandbox) -> None:
    sandbox.foundry.project.provisioning.fail[DIGEST] = {"code": "ImageError", "message": "manifest unknown"}
    await sandbox.run("Create from an image")
    sandbox.clock.passed += 60
    assert await sandbox.run("Read why a version failed") == ["failed ImageError manifest unknown"]


async def test_an_error_is_caught_and_nothing_is_created(sandbox: Sandbox) -> None:
    assert await sandbox.run("Catch a refusal") == ["400 invalid_request"]
    assert sandbox.foundry.project.agents == {}


async def test_delete_keeps_a_version_with_sessions(sandbox: Sandbox) -> None:
    await sandbox.run("Create from an image")
    await sandbox.run("Tools through a toolbox")
    agent = sandbox.foundry.project.agents["my-agent"]
    agent.sessions["s"] = {"version_indicator": {"agent_version": "2"}}
    assert await sandbox.run("Delete a version") == ["1 True", "2 has active sessions"]
    assert list(agent.versions) == ["2"]


async def test_the_async_client_creates_a_version(sandbox: Sandbox) -> None:
    assert await sandbox.run("Asynchronously") == ["async-agent 1 creating"]
    image = {"image": "myregistry.azurecr.io/agents/async-agent:v1.0"}
    assert sandbox.definition("async-agent")["container_configuration"] == image


def test_every_block_is_tested() -> None:
    assert len(BLOCKS) == PAGE.count("```python") == 7


def test_names_that_the_page_calls_removed_are_removed() -> None:
    assert f"became of it in {installed('azure-ai-projects')}," in PAGE
    assert not {"ImageBasedHostedAgentDefinition", "AgentProtocol"} & set(dir(models))
    for removed in ("tools", "image", "container_protocol_versions"):
        arguments: dict[str, Any] = {"cpu": "1", "memory": "2Gi", removed: []}
        with pytest.raises(TypeError):
            models.HostedAgentDefinition(**arguments)
    version = models.AgentVersionDetails({"version": "1", "status": "failed", "error": {"code": "ImageError"}})
    assert not hasattr(version, "state")
    assert not hasattr(version, "error")
    assert (version.status, version.get("error")) == ("failed", {"code": "ImageError"})
    assert "version" not in inspect.signature(AgentsOperations.delete_version).parameters


def test_every_element_of_the_seed_is_on_the_page() -> None:
    spans = " ".join(re.findall(r"`[^`\n]+`", PAGE))
    texts = [text.strip() for text in re.split(r"[;\n]", TEXT_OF_THE_SEED)]
    names = [
        name for name in CODE_OF_THE_SEED.split() if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", spans)
    ]
    assert names + [text for text in texts if text not in PAGE] == []


def test_every_name_of_ours_on_the_page_exists() -> None:
    capitals = set(re.findall(r"`([A-Z_]{3,})`", PAGE))
    settings = {field.metadata["name"] for field in fields(Settings)}
    assert capitals <= {*Reason.__members__, *settings, *EXTERNAL_NAMES}
    assert set(re.findall(r"`(\w+):`", PAGE)) <= set(AgentSpec.model_fields)
    assert all(hasattr(AzureFoundry, method) for method in re.findall(r"AzureFoundry\.(\w+)", PAGE))


def test_errors_map_to_the_reasons_of_the_table() -> None:
    table = PAGE.partition("## Common errors")[2].partition("These are")[0]
    rows = [row.split("|") for row in table.splitlines()[4:] if row]
    codes = [(code, row[3].strip()) for row in rows for code in re.findall(r"`(\w+)`", row[1] + row[2])]
    assert len(codes) == 13
    assert codes == [(code, f"`{from_service(code)}`") for code, _ in codes]
