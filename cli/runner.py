"""Runs a command: builds its context, prints its result, and reports every expected error in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.exit_codes import INTERRUPTED, SERVICE_ERROR, WRONG_INPUT, UsageError

if TYPE_CHECKING:
    from cli.output import Progress
    from cli.sign_in import SignIn
    from core.agents_file.spec import Agents, AgentSpec
    from handlers.gateways.interfaces import Gateways
    from handlers.settings import Settings

ENDPOINTS = Path(os.environ.get("SLIPWAY_LOCAL", ".local")) / "endpoints.json"


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command works with."""

    agents: Agents
    settings: Settings
    gateways: Gateways
    progress: Progress
    sign_in: SignIn | None = None
    """None without a platform that could say who runs the command."""

    async def author(self, note: str | None) -> str:
        """Return who the platform says runs the command, with the user's note."""
        from cli.author import NO_TOKEN, author

        return author(await self.sign_in.identity() if self.sign_in else NO_TOKEN, note)

    def endpoint_of(self, target: str) -> str:
        """Return the endpoint of the project that a target is in."""
        from core.target import DEFAULT_PROJECT, project_of

        project = project_of(target)
        if project == DEFAULT_PROJECT:
            return self.settings.foundry_project_endpoint
        if project not in self.agents.projects:
            raise UsageError(f"agents.yaml has no project {project}")
        return self.agents.projects[project]

    def select_agents(self, agent: str | None) -> list[str]:
        """Return the agent's name, or all names for None and ``all``; raise UsageError for an unknown agent."""
        from core.target import ALL_AGENTS

        if agent in (None, ALL_AGENTS):
            return sorted(self.agents.agents)
        return [self.spec_of(agent).name]

    def spec_of(self, agent: str) -> AgentSpec:
        """Return the agent's spec; raise UsageError for an unknown agent."""
        if agent not in self.agents.agents:
            raise unknown_agent(agent, self.agents)
        return self.agents.agents[agent]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command prints, as text and as JSON data, and its exit code."""

    text: str
    data: Any
    exit_code: int = 0
    is_exact: bool = False
    """True if a program acts on the names in it, so that they must stay; the command hides secrets itself."""


MISSING = "FOUNDRY_PROJECT_ENDPOINT is not set"
OF_A_DEPLOYMENT = "set -a; source <(azd env get-values); AZURE_TOKEN_CREDENTIALS=AzureCliCredential; set +a"
"""As docs/how-to/deploy.md has it."""

Command = Callable[[CommandContext], Awaitable[CommandResult]]


def targets_of(agent: str, agents: Agents) -> list[str]:
    """Return the targets of the agent that a name has, whatever project it has."""
    from core.target import agent_of

    return sorted(name for name in agents.agents if agent_of(name) == agent_of(agent))


def summary(agents: Agents) -> str:
    """Return how many agents there are, and targets where that is another number."""
    from core.target import agent_of

    targets, names = len(agents.agents), len({agent_of(name) for name in agents.agents})
    counted = f"{names} agent{'s' if names != 1 else ''}"
    return f"{counted} in {targets} targets" if targets != names else counted


def unknown_agent(agent: str, agents: Agents) -> UsageError:
    """Return the error for an agent that is not in agents.yaml; it names the agent's targets, or the nearest name."""
    from core.similar_names import did_you_mean, most_similar

    if targets := targets_of(agent, agents):
        return UsageError(f"agents.yaml has no target {agent}; it has {', '.join(targets)}")
    names = agents.agents
    hint = did_you_mean(most_similar(agent, names), f"it has {', '.join(sorted(names)) or 'no agents'}")
    return UsageError(f"agents.yaml has no agent {agent}; {hint}")


def run_and_print(local: bool, as_json: bool, command: Command) -> None:
    """Run a command, print its result, and exit with its code."""
    print_result(run(local, command), as_json)


def print_result(result: CommandResult, as_json: bool) -> None:
    """Print a result without the secrets that were read; exit if its code is not 0."""
    from cli.output import print_json, print_text
    from handlers.redaction import redact, redact_data

    if as_json:
        data = result.data if result.is_exact else redact_data(result.data)
        print_json(data, indent=1, default=str if result.is_exact else lambda value: redact(str(value)))
    else:
        print_text(result.text if result.is_exact else redact(result.text))
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def run(local: bool, command: Command) -> CommandResult:
    """Run a command; if it fails, print one line and exit."""
    import asyncio

    from cli.output import print_error
    from handlers.gateways.errors import GatewayError
    from handlers.settings import ConfigError

    prepare(local)
    try:
        return asyncio.run(_run(command))
    except ConfigError as error:
        print_error(f"{error}\n{where_settings_are()}" if MISSING in str(error) else str(error))
        raise typer.Exit(WRONG_INPUT) from None
    except GatewayError as error:
        from cli.errors import explain

        print_error(explain(error))
        raise typer.Exit(SERVICE_ERROR) from None
    except (KeyboardInterrupt, typer.Abort):  # Ctrl-C, also at a prompt
        print("stopped; what was written stays, and the app continues with it", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def where_settings_are() -> str:
    """What sets the settings of a deployment, or of the local stack, in a terminal that has none."""
    local = "a local stack runs in this folder" if ENDPOINTS.exists() else "with the stack of `make up`"
    return f"{local}: add --local\nwith a deployment, in its folder: {OF_A_DEPLOYMENT}"


def prepare(local: bool) -> None:
    """Set the environment before any Azure SDK is imported: aiohttp reads the trusted certificates on import."""
    silence_logging()
    if local:
        use_local_stack()


def silence_logging() -> None:
    """Keep log lines off the terminal: without a handler Python prints each warning."""
    import logging

    logging.getLogger("slipway").addHandler(logging.NullHandler())
    logging.getLogger("azure").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def use_local_stack() -> None:
    """Use the settings of the stack that `make up` started; raise UsageError if none runs."""
    if not ENDPOINTS.exists():
        raise UsageError(f"{ENDPOINTS} does not exist: start the local stack with `make up`")
    os.environ.update(json.loads(ENDPOINTS.read_text())["env"])


async def _run(command: Command) -> CommandResult:
    from cli.output import Progress
    from cli.sign_in import SignIn
    from handlers import bootstrap

    agents, settings = bootstrap.agents(), bootstrap.settings()
    sign_in = SignIn(settings)
    context = CommandContext(agents, settings, bootstrap.gateways(), Progress(), sign_in)
    try:
        async with context.progress.shown():
            return await sign_in.run(command(context))
    finally:
        await bootstrap.close()
