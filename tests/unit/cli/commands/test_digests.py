"""``slipway digests``: the images that a purge must keep."""

from __future__ import annotations

import pytest

from cli.commands.digests import list_digests
from cli.output import Progress
from cli.runner import CommandContext
from core.agents_file.spec import Agents
from handlers.gateways.errors import GatewayError, TransientError
from tests.support.app import App


def context(app: App) -> CommandContext:
    return CommandContext(app.agents, app.settings, app.gateways, Progress())


async def test_the_list_has_versions_pushes_and_the_children_of_indexes() -> None:
    app = App()
    app.registry.children[f"sha256:{'a' * 64}"] = [f"sha256:{'1' * 64}"]
    await app.pushed("v1", "a")
    await app.released()
    await app.pushed("v2", "b")
    result = await list_digests(context(app))
    assert [image[-1] for image in result.data] == list("1ab")
    assert result.text.splitlines() == result.data


async def test_agents_that_left_the_file_are_listed_too() -> None:
    app = App()
    await app.pushed("v1", "a")
    await app.released()
    app.agents = Agents(agents={})
    result = await list_digests(context(app))
    assert [image[-1] for image in result.data] == ["a"]


async def test_half_a_list_is_an_error() -> None:
    app = App()
    await app.pushed("v1", "a")
    await app.released()
    app.registry.error = TransientError("registry", "503", "read")
    with pytest.raises(GatewayError):
        await list_digests(context(app))
