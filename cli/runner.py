"""Runs one command: the settings, the gateways, the answer, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.codes import INTERRUPTED, UNANSWERED, WRONG_INPUT, Mistake

if TYPE_CHECKING:
    from cli.screen import Progress
    from core.agents_file.spec import Agents
    from handlers.gateways.interfaces import Gateways
    from handlers.settings import Settings

ENDPOINTS = Path(os.environ.get("SLIPWAY_LOCAL", ".local")) / "endpoints.json"


@dataclass(frozen=True, slots=True)
class House:
    """What a command works with."""

    agents: Agents
    settings: Settings
    gateways: Gateways
    progress: Progress

    def named(self, agent: str | None) -> list[str]:
        """The agent, or all; an unknown one is a mistake that names the nearest."""
        if agent is None or agent == "all":
            return sorted(self.agents.agents)
        if agent not in self.agents.agents:
            raise unknown_agent(agent, self.agents)
        return [agent]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says, as text and as data, and what it comes to."""

    text: str
    data: Any
    code: int = 0


Question = Callable[[House], Awaitable[Answer]]


def unknown_agent(agent: str, agents: Agents) -> Mistake:
    """The mistake of a name that no rule has."""
    from difflib import get_close_matches

    near = get_close_matches(agent, agents.agents, 1)
    known = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(agents.agents)) or 'none'}"
    return Mistake(f"agents.yaml has no agent {agent}; {known}")


def asked(local: bool, as_json: bool, question: Question) -> None:
    """Ask the outside world; prints the answer and ends the process with its code."""
    tell(run(local, question), as_json)


def tell(answer: Answer, as_json: bool) -> None:
    """Print the answer, without any secret that was read; ends the process where its code is one."""
    from cli.screen import show
    from handlers.redaction import redact

    if as_json:
        print(redact(json.dumps(answer.data, indent=1, default=str, ensure_ascii=False)))
    else:
        show(redact(answer.text))
    if answer.code:
        raise typer.Exit(answer.code)


def run(local: bool, question: Question) -> Answer:
    """The answer; ends the process with one clear sentence where there is none."""
    import asyncio

    from handlers.gateways.errors import GatewayError
    from handlers.settings import ConfigError

    prepare(local)
    try:
        return asyncio.run(_asked(question))
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT) from None
    except GatewayError as error:
        from cli.failing import sentence

        print(sentence(error), file=sys.stderr)
        raise typer.Exit(UNANSWERED) from None
    except (KeyboardInterrupt, typer.Abort):  # Ctrl-C, also as the answer to a question
        print("stopped; what was written stays, and the app goes on with it", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def prepare(local: bool) -> None:
    """The settings, before anything of Azure's is imported: aiohttp reads the trusted certificates at its import."""
    quiet()
    if local:
        stand_ins()


def quiet() -> None:
    """Nobody exports telemetry here; without a handler Python would print each warning to the terminal."""
    import logging

    logging.getLogger("slipway").addHandler(logging.NullHandler())
    logging.getLogger("azure").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def stand_ins() -> None:
    """Take the settings of what `make up` started; raises Mistake where nothing runs."""
    if not ENDPOINTS.exists():
        raise Mistake(f"{ENDPOINTS} is not there: start the stand-ins with `make up`")
    os.environ.update(json.loads(ENDPOINTS.read_text())["env"])


async def _asked(question: Question) -> Answer:
    from cli.screen import Progress
    from cli.signing import signed_in
    from handlers import bootstrap

    house = House(bootstrap.agents(), bootstrap.settings(), bootstrap.gateways(), Progress())
    try:
        async with house.progress.told():
            return await signed_in(house.settings, question(house))
    finally:
        await bootstrap.close()
