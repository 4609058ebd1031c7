"""A version that says that it is ours: metadata is a hint, and only what the release asks for is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.definition import FINGERPRINT
from core.model import Definition, SecretValue
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, live_app


async def expected(letter: str) -> tuple[str, Definition]:
    """The fingerprint and the definition that a push gives."""
    twin = await live_app()
    await twin.pushed("v2", letter)
    assert await twin.released() == "LIVE"
    release = await twin.state_store.get_release(AGENT)
    return release.fingerprint, twin.foundry.agents[AGENT].definitions["2"]


async def forge(app: App, fingerprint: str, definition: Definition, **changes: Any) -> None:
    """Somebody else creates a version with our fingerprint."""
    app.foundry.deduplicates_by = "never"
    await app.foundry.create_version(AGENT, replace(definition, **changes), {FINGERPRINT: fingerprint})


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {"KEY": SecretValue("canary-3c2d"), "UPSTREAM": "https://evil.example"}},
        {"environment": {"KEY": SecretValue("the value of somebody else")}},
        {"environment": {}},
        {"cpu": "2", "memory": "4Gi"},
        {"protocols": (("invocations", "1.0.0"),)},
        {"image": f"evil.example/agents/hello@sha256:{'b' * 64}"},
    ],
    ids=["one variable more", "another value of a secret", "no variable", "more cores", "another protocol", "image"],
)
@in_virtual_time
async def test_a_version_with_our_fingerprint_and_another_definition_is_not_adopted(changes: dict[str, Any]) -> None:
    fingerprint, definition = await expected("b")
    app = await live_app()
    await forge(app, fingerprint, definition, **changes)
    await app.clock.sleep(60)
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    assert await app.live() == "3", "version 2 is not ours"
    assert "ADOPT" not in app.journal.reasons()
    assert app.foundry.environment(AGENT, "3") == {"KEY": "canary-3c2d"}


@in_virtual_time
async def test_a_version_that_is_what_the_release_asks_for_is_adopted() -> None:
    fingerprint, definition = await expected("b")
    app = await live_app()
    await forge(app, fingerprint, definition)
    await app.clock.sleep(60)
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    assert "ADOPT" in app.journal.reasons()
