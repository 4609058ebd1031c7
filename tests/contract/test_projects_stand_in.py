"""The stand-in of Foundry has a project for each name in an address; the app reaches each by its endpoint."""

from __future__ import annotations

from pathlib import Path

from azure.ai.projects.aio import AIProjectClient

from core.model import Definition
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.foundry.projects import FoundryProjects
from local.foundry.server import Foundry as StandIn
from local.tls import Authority
from tests.support.local_clients import AsyncLocalCredential, client_options

IMAGE = f"demo.azurecr.io/agents/hello@sha256:{'a' * 64}"
DEFINITION = Definition(IMAGE, "1", "2Gi", (("responses", "2.0.0"),), {})


async def test_the_projects_of_the_stand_in_are_apart(tmp_path: Path) -> None:
    authority, stand_in = Authority(tmp_path), StandIn(project_name="demo")
    url = await stand_in.start(tls=authority.server())

    def connect(_: str, endpoint: str) -> AzureFoundry:
        foundry = AzureFoundry(endpoint, AsyncLocalCredential())
        foundry._client.instance = AIProjectClient(endpoint, AsyncLocalCredential(), **client_options(authority.ca))
        return foundry

    endpoints = {"eu": f"{url}/api/projects/eu"}
    foundry = FoundryProjects(connect("", f"{url}/api/projects/demo"), lambda: endpoints, connect)
    try:
        await foundry.create_version("hello", DEFINITION, {})
        assert await foundry.list_agents() == ["hello"]
        await foundry.create_version("hello@eu", DEFINITION, {})
        await foundry.create_version("hello@eu", DEFINITION, {"slipway.attempt": "2"})
        assert await foundry.list_agents() == ["hello", "hello@eu"]
        toolbox = await foundry.ensure_toolbox("hello-tools@eu", [{"type": "code_interpreter"}])
        assert toolbox.endpoint.startswith(f"{url}/api/projects/eu/toolboxes/hello-tools/")
        assert not await foundry.list_toolbox_versions("hello-tools")
        assert list(stand_in.project.agents) == ["hello"]
    finally:
        await foundry.close()
        await stand_in.stop()
