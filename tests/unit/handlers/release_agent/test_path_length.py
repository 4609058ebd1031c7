"""The path from a message to the create request stays short."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from core.model import Definition, Version
from handlers.gateways.azure_http import LazyClient
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.release_agent.reconcile import handle_message
from tests.support.app import AGENT, App

ROOT = Path(__file__).resolve().parents[4]
ABOVE = ("function_app.py", "handlers/bootstrap.py")
"""Two frames that the test does not run: function_app and bootstrap, which call ``handle_message``."""
MAX_FRAMES, MAX_FILES = 11, 7


class Sent(Exception):  # noqa: N818 - it ends the release where the SDK would send
    pass


class RealGateway(AzureFoundry):
    """The real gateway, with a client that keeps the stack in place of sending."""

    def __init__(self) -> None:
        super().__init__("https://contoso.services.ai.azure.com/api/projects/p", cast("Any", None))
        client = SimpleNamespace(agents=SimpleNamespace(create_version=self._keep_stack))
        self._client = LazyClient(lambda: lambda *_, **__: cast("Any", client))
        self.frames: list[str] = []

    async def _keep_stack(self, *_: object, **__: object) -> None:
        stack = (Path(frame.filename) for frame in traceback.extract_stack())
        inside = (path.relative_to(ROOT) for path in stack if path.is_relative_to(ROOT))
        self.frames = [str(path) for path in inside if path.parts[0] == "handlers"]
        raise Sent


GATEWAY = RealGateway()


class Foundry(InMemoryFoundry):
    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        return await GATEWAY.create_version(agent, definition, metadata)


async def test_a_message_reaches_the_create_request_in_eleven_frames_over_seven_files() -> None:
    app = App(kind=Foundry)
    await app.pushed()
    try:
        await handle_message(json.dumps({"target": AGENT}), app.agents, app.settings, app.gateways)
    except Sent:
        frames = [*ABOVE, *GATEWAY.frames]
    assert len(frames) <= MAX_FRAMES, frames
    assert len(set(frames)) <= MAX_FILES, frames
