"""Watches Foundry during the run: no version gets traffic before it is confirmed, and no live version is deleted."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

from local.foundry.state import AgentState
from tests.chaos.cluster import Cluster
from tests.chaos.load import Load

INTERVAL = 0.2
REQUIRED_READS = 2
"""Reads of a version as active before it may get traffic."""
VERSION = re.compile(r"/agents/(?P<agent>[^/?]+)/versions/(?P<number>\d+)(?:\?|$)")
AGENT = re.compile(r"/agents/(?P<agent>[^/?]+)(?:\?|$)")
VERIFIED = "verified"
"""The agent that is probed before it gets traffic."""


class Watch:
    """Counts calls, and collects violations."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self.violations: list[str] = []
        self.calls = 0
        self._cluster = cluster
        self._load = load
        self._confirmed: Counter[tuple[str, str]] = Counter()
        self._ready_at: dict[tuple[str, str], float] = {}
        self._checked_until = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.check()
            await asyncio.sleep(INTERVAL)

    def check(self) -> None:
        """Check the requests since the last check, in the order of their answers, and the live versions."""
        state = self._cluster.foundry.project
        for agent in state.agents.values():
            for number, version in agent.versions.items():
                self._ready_at[agent.name, number] = version.ready_at
            self._check_live_version(agent)
        requests = [
            request for request in self._cluster.foundry.requests if request.get("answered", 0.0) > self._checked_until
        ]
        for request in sorted(requests, key=lambda request: float(request["answered"])):
            self._checked_until = request["answered"]
            self.calls += 1
            self._check_request(request)

    def _check_request(self, request: dict[str, Any]) -> None:
        read = VERSION.search(request["path"])
        if read and request["method"] == "GET" and request["status"] == 200:
            key = (read["agent"], read["number"])
            self._confirmed[key] += request["at"] >= self._ready_at.get(key, float("inf"))
        moved = AGENT.search(request["path"])
        if moved and request["method"] == "PATCH":
            rules = request["body"]["agent_endpoint"]["version_selector"]["version_selection_rules"]
            for rule in rules:
                if self._confirmed[moved["agent"], rule["agent_version"]] < REQUIRED_READS:
                    self._add(f"{moved['agent']} was moved to version {rule['agent_version']} before it was confirmed")

    def _check_live_version(self, agent: AgentState) -> None:
        live = agent.live_version()
        if live is None:
            self._add(f"the live version of {agent.name} was deleted")
            return
        if len(agent.versions) == 1:
            return  # an agent's first version has its traffic from the start
        status = live.status(self._cluster.foundry.project.clock())
        if status != "active":
            self._add(f"version {live.number} of {agent.name} is live and {status}")
        is_wrong = self._load.images.get(live.match_text.split()[0].rpartition("@")[2]) == "wrong"
        if agent.name == VERIFIED and is_wrong:
            self._add(f"version {live.number} of {agent.name} is live, but its verify cannot have passed")

    def _add(self, violation: str) -> None:
        if violation not in self.violations:
            self.violations.append(violation)
