"""Runs one command: the settings, the gateways, the answer, and one clear line for whatever is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from core.rules import Agents
    from handlers.config import Settings
    from handlers.gateways import Gateways

ENDPOINTS = Path(".local/endpoints.json")
WRONG_INPUT, UNANSWERED, REFUSED = 2, 3, 4
"""Exit codes: what was asked is wrong; a service does not answer, or refuses; what was told does not apply."""


@dataclass(frozen=True, slots=True)
class House:
    """What a command works with."""

    agents: Agents
    settings: Settings
    outside: Gateways

    def named(self, agent: str | None) -> list[str]:
        """The agent, or all; an unknown one is a mistake that names the nearest."""
        if agent is None or agent == "all":
            return sorted(self.agents.agents)
        if agent not in self.agents.agents:
            from difflib import get_close_matches

            near = get_close_matches(agent, self.agents.agents, 1)
            known = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self.agents.agents))}"
            raise typer.BadParameter(f"agents.yaml has no agent {agent}; {known}")
        return [agent]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says, as text and as data."""

    text: str
    data: Any
    refused: bool = False


def asked(local: bool, as_json: bool, question: Callable[[House], Awaitable[Answer]]) -> None:
    """Print the answer; ends the process with a code where there is none."""
    answer = _run(local, question)
    print(json.dumps(answer.data, indent=1, default=str) if as_json else answer.text)
    if answer.refused:
        raise typer.Exit(REFUSED)


def told(local: bool, word: Callable[[House], Awaitable[Answer]]) -> None:
    """Say something and print what came of it."""
    asked(local, False, word)


def _run(local: bool, question: Callable[[House], Awaitable[Answer]]) -> Answer:
    from handlers.config import ConfigInvalid
    from handlers.gateways import GatewayError

    if local:
        _stand_ins()
    try:
        return asyncio.run(_asked(question))
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT) from None
    except GatewayError as error:
        print(f"{error}; signed in with the right tenant, and with a role on it?", file=sys.stderr)
        raise typer.Exit(UNANSWERED) from None


def _stand_ins() -> None:
    if not ENDPOINTS.exists():
        raise typer.BadParameter(f"{ENDPOINTS} is not there: start the stand-ins with `make up`")
    os.environ.update(json.loads(ENDPOINTS.read_text())["env"])


async def _asked(question: Callable[[House], Awaitable[Answer]]) -> Answer:
    from handlers import wiring

    house = House(wiring.agents(), wiring.settings(), wiring.gateways())
    try:
        return await question(house)
    finally:
        await wiring.close()
