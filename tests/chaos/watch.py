"""Looks at Foundry all the time: nothing gets traffic that was not confirmed, and nothing live is deleted."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

from local.foundry.state import AgentState
from tests.chaos.cluster import World
from tests.chaos.load import Load

EVERY = 0.2
READS = 2
"""Reads of an active version before it may have traffic."""
VERSION = re.compile(r"/agents/(?P<agent>[^/?]+)/versions/(?P<number>\d+)(?:\?|$)")
AGENT = re.compile(r"/agents/(?P<agent>[^/?]+)(?:\?|$)")
VERIFIED = "proven"
"""The agent that is asked before it has traffic."""


class Watch:
    """What was seen, and in ``broken`` what should never have been."""

    def __init__(self, world: World, load: Load) -> None:
        self.broken: list[str] = []
        self.calls = 0
        self._world = world
        self._load = load
        self._confirmed: Counter[tuple[str, str]] = Counter()
        self._known: dict[tuple[str, str], float] = {}
        self._until = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """What was asked since the last look, in the order of the answers, and what serves now."""
        state = self._world.foundry.project
        for agent in state.agents.values():
            for number, version in agent.versions.items():
                self._known[agent.name, number] = version.ready_at
            self._serves(agent)
        lines = [one for one in self._world.foundry.requests if one.get("answered", 0.0) > self._until]
        for line in sorted(lines, key=lambda one: float(one["answered"])):
            self._until = line["answered"]
            self.calls += 1
            self._asked(line)

    def _asked(self, line: dict[str, Any]) -> None:
        read = VERSION.search(line["path"])
        if read and line["method"] == "GET" and line["status"] == 200:
            key = (read["agent"], read["number"])
            self._confirmed[key] += line["at"] >= self._known.get(key, float("inf"))
        moved = AGENT.search(line["path"])
        if moved and line["method"] == "PATCH":
            rules = line["body"]["agent_endpoint"]["version_selector"]["version_selection_rules"]
            for spec in rules:
                if self._confirmed[moved["agent"], spec["agent_version"]] < READS:
                    self._say(f"{moved['agent']} was moved to version {spec['agent_version']} before it was confirmed")

    def _serves(self, agent: AgentState) -> None:
        serving = agent.live_version()
        if serving is None:
            self._say(f"the live version of {agent.name} was deleted")
            return
        if len(agent.versions) == 1:
            return  # an agent's first version has its traffic from the beginning
        status = serving.status(self._world.foundry.project.clock())
        if status != "active":
            self._say(f"version {serving.number} of {agent.name} is live and {status}")
        wrong = self._load.images.get(serving.match_text.split()[0].rpartition("@")[2]) == "wrong"
        if agent.name == VERIFIED and wrong:
            self._say(f"version {serving.number} of {agent.name} is live, and its verify cannot have passed")

    def _say(self, what: str) -> None:
        if what not in self.broken:
            self.broken.append(what)
