"""The stand-ins in the state that a recorded request met, and the requests as they were recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from local.foundry.server import Foundry
from local.foundry.sessions import open_session
from local.foundry.state import AgentState, VersionState
from local.registry.server import Registry
from local.tls import Authority
from local.vault import Vault
from tests.recorded.exchanges import Json
from tests.recorded.shapes import Answer

NOW = 1_782_940_000.0
HOSTED: Json = {
    "kind": "hosted",
    "cpu": "0.5",
    "memory": "1Gi",
    "container_configuration": {"image": "sanitizedregistry.azurecr.io/sanitized/sessions-agent:latest"},
    "protocol_versions": [{"protocol": "responses", "version": "1.0.0"}],
}


@dataclass
class Laptop:
    """Foundry, Key Vault and a registry, each of which answers at its own address."""

    foundry: Foundry = field(default_factory=lambda: Foundry(clock=lambda: NOW))
    vault: Vault = field(default_factory=Vault)
    registry: Registry = field(default_factory=Registry)

    async def start(self, folder: Path) -> None:
        """Listen with TLS: there the registry asks for a token."""
        authority = Authority(folder)
        for stand_in in (self.foundry, self.vault, self.registry):
            await stand_in.start(tls=authority.server())

    async def stop(self) -> None:
        """Close every stand-in."""
        for stand_in in (self.foundry, self.vault, self.registry):
            await stand_in.stop()

    def agent(self, name: str) -> AgentState:
        """The agent of this name, which exists from now on."""
        return self.foundry.project.agents.setdefault(name, AgentState(name))

    def put_version(self, version: Json, *, ready: bool = True) -> VersionState:
        """Put a version into the state, in the shape in which Azure returned it."""
        agent, number = self.agent(version["name"]), version["version"]
        definition = {key: value for key, value in version["definition"].items() if value != []}
        created_at = float(version["created_at"])
        ready_at = created_at if ready else NOW + 1
        state = VersionState(number, definition, version["metadata"], created_at, ready_at)
        agent.versions[number] = state
        agent.last_number = int(number)
        return state

    def put_hosted(self, name: str, *numbers: str) -> AgentState:
        """Put active versions of a container image into the state."""
        for number in numbers:
            version: Json = {"definition": HOSTED, "metadata": {}, "created_at": NOW - 900 + int(number)}
            self.put_version(version | {"name": name, "version": number})
        return self.agent(name)

    def put_session(self, name: str, session: str) -> None:
        """Open a session on a version of its own."""
        open_session(self.put_hosted(name, "21"), "21", NOW, session)

    async def ask(self, method: str, url: str, body: object, headers: Mapping[str, str]) -> Answer:
        """Send a request as it was recorded."""
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        options: dict[str, Any] = {} if body is None else {"data": json.dumps(body)}
        sent = {**headers, "Content-Type": content_type}
        async with ClientSession() as client, client.request(method, url, headers=sent, ssl=False, **options) as answer:
            data = await answer.read()
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, dict(answer.headers), json.loads(data) if data and is_json else None)

    async def registry_token(self) -> str:
        """Exchange a token as the client of the registry does."""
        token: Json = {"access_token": "entra"}
        for path, key in (("exchange", "access_token"), ("token", "refresh_token")):
            form = {"grant_type": key, key: next(iter(token.values())), "scope": "repository:x:metadata_read"}
            url = f"{self.registry.url}/oauth2/{path}"
            async with ClientSession() as client, client.post(url, data=form, ssl=False) as answer:
                token = await answer.json()
        return str(token["access_token"])
