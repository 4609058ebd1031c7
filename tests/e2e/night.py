"""A stack and the commands of a person on call, for the tests that provoke situations and end them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.ai.projects.models import AgentEndpointConfig, FixedRatioVersionSelectionRule, VersionSelector
from azure.core.exceptions import ResourceNotFoundError

from handlers.gateways.storage.state_store import CONTAINER
from handlers.resume_releases.secrets_check import MARKER
from local.endpoints import ROOT
from local.stack_client import StackClient, eventually
from tests.support.cli_schemas import validated
from tests.support.stored_journal import journal_lines

COMMAND_TIMEOUT = 180.0
"""Seconds after which a command hangs; `python -m bench --only situations` measures what they take."""


@dataclass(frozen=True)
class Night:
    """A stack, and the commands that a person types; they read a copy of agents.yaml that nobody broke."""

    running: StackClient
    folder: Path
    typed: list[str] = field(default_factory=list)
    """Every command line, oldest first."""

    @property
    def agents(self) -> Path:
        """The file that the app reads."""
        return self.folder / "agents.yaml"

    def slipway(self, command: str, *codes: int, file: str = "good.yaml") -> str:
        """Run a command line as it is printed, and return its output; ``codes`` are allowed beside 0."""
        program, *arguments = shlex.split(command)
        assert program == "slipway"
        self.typed.append(command)
        environment = {**self.running.endpoints["env"], "PATH": "/usr/bin:/bin", "USER": "ann"}
        environment["AGENTS_FILE"] = str(self.folder / file)
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        assert done.returncode in (0, *codes), done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, dict[str, Any]]:
        """What ``slipway status`` knows of each agent, by the first word of its name."""
        rows = validated("status", self.slipway("slipway status --json", 3))
        return {row["agent"].removesuffix("-agent"): row for row in rows}

    def problem(self, subject: str) -> dict[str, Any]:
        """The last thing that needs a person, as ``slipway why`` names it."""
        (problem,) = validated("why", self.slipway(f"slipway why {subject} --json"))["problems"]
        return dict(problem)

    def a_day_passes(self) -> None:
        """The daily checks are due again; the timer of the stack may have made them."""
        with self.running.blobs() as service, suppress(ResourceNotFoundError):
            service.get_blob_client(CONTAINER, f"markers/{MARKER}.json").delete_blob()

    def push(self, name: str, tag: str = "v1", **options: Any) -> str:
        return self.running.push(f"night/{name}", tag, f"{name} {tag}", **options)

    def wait_for(self, reason: str, name: str) -> None:
        self.wait_for_all({name: reason})

    def wait_for_all(
        self, reasons: Mapping[str, str], *, more_than: Mapping[str, int] | None = None, timeout: float = 150
    ) -> None:
        """Wait until each agent has its decision, or more of them than it had."""
        known = more_than or {}

        def missing() -> list[str]:
            counts = self.counts()
            return [f"{code} of {name}" for name, code in reasons.items() if counts[name, code] <= known.get(name, 0)]

        try:
            eventually(lambda: not missing(), "every decision", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}: {', '.join(missing())}") from None

    def counts(self) -> Counter[tuple[str, str]]:
        """How many decisions of each agent have arrived, by the first part of its name and the reason."""
        items = self.running.get("telemetry", "/_local/items?type=MessageData")
        lines = [item["data"]["baseData"].get("properties", {}) for item in items]
        return Counter(
            (str(line.get("slipway.agent")).removesuffix("-agent"), str(line.get("slipway.reason"))) for line in lines
        )

    def recorded(self) -> Counter[str]:
        """How often each reason is in the stored journal, which a run writes before it ends."""
        with self.running.blobs() as account, account.get_container_client(CONTAINER) as container:
            return Counter(line["reason"] for line in journal_lines(container))

    def move_traffic(self, name: str, version: str) -> None:
        rule = FixedRatioVersionSelectionRule(agent_version=version, traffic_percentage=100)
        endpoint = AgentEndpointConfig(version_selector=VersionSelector(version_selection_rules=[rule]))
        with self.running.foundry() as project:
            project.agents.update_details(f"{name}-agent", agent_endpoint=endpoint)

    def set_secret(self, name: str, value: str, **options: Any) -> None:
        with self.running.vault() as vault:
            vault.set_secret(name, value, **options)
