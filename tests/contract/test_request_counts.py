"""What one push and its release ask of each service, counted by the stand-ins."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from core.agents_file.loader import load_agents
from tests.contract.faulty_app import App, started_app

PLAIN = b"agents: {hello-agent: {repository: agents/hello, inspect: never, env: {KEY: {secret: hello-key}}}}"
BLOBS = 12
"""The event: desired state read and written, journal. The release: lease, desired state, pending create, desired state
before the move, pending move, end, lease, journal, and the desired state once more without the lease."""
QUEUES = 1
"""The message, which the host takes and deletes."""
FOUNDRY = 7
"""Agent and versions, agent before the create, create, second read of the version, agent before the move, move."""


def requests(app: App) -> Counter[str]:
    return Counter({name: len(stand_in.requests) for name, stand_in in app.services.stand_ins.items()})


async def test_a_release_asks_for_nothing_twice(tmp_path: Path) -> None:
    async with started_app(tmp_path) as app:
        app.agents = load_agents(PLAIN)
        app.services.foundry.project.provisioning.seconds = 0
        before = requests(app)
        await app.push("v2", "b")
        await app.run_queue(wait=True)
        asked = requests(app) - before
        assert app.live_image() == "b"
    assert (asked["blobs"], asked["queues"], asked["foundry"]) == (BLOBS, QUEUES, FOUNDRY)
