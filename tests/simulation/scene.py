"""What a history is about: its rule, its images and how its services behave, all drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache
from random import Random
from typing import Literal

from core.agents_file.loader import load_agents
from core.agents_file.spec import Agents

AGENT, REPOSITORY, SECRET = "hello-agent", "agents/hello", "hello-key"
ENVIRONMENT = {
    "FOUNDRY_PROJECT_ENDPOINT": "https://local/api/projects/demo",
    "KEY_VAULT_URL": "https://vault.local",
    "REGISTRY_NAME": "demo",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    "PRUNE_SCHEDULE": "0 0 3 * * *",
    "RESUME_SCHEDULE": "0 */5 * * * *",
}
PROBE = "{ask: ping, expect: pong, within: 20s}"
PROVING_TAKES = timedelta(seconds=20)


class Image(StrEnum):
    """How an image behaves once it runs."""

    GOOD = "good"
    FAILS = "fails"
    """It never becomes active."""
    WRONG = "wrong"
    """It never answers as it must."""
    WRONG_LIVE = "wrong live"
    """It answers as it must until it has traffic."""
    FLAKY = "flaky"
    LATE = "late"
    """It is active some time before it answers at all."""


@dataclass(frozen=True)
class Scene:
    """One rule; a configuration change makes another one of it."""

    mode: Literal["auto", "manual", "notify"]
    verify: bool
    check: bool
    hold_for: str
    min_push_age: str = "0s"
    word: str = "one"
    """A variable's value: what a configuration change alters in the definition."""

    @property
    def agents(self) -> Agents:
        return _rules(self)

    def changed(self, random: Random) -> Scene:
        """After a configuration change."""
        if random.random() < 0.4:
            return replace(self, word=self.word + "!")
        return replace(self, mode=_mode(random), verify=random.random() < 0.6, check=random.random() < 0.6)


def scene(random: Random) -> Scene:
    """The first rule of a history."""
    draw = random.random
    hold_for, soak = random.choice(["7d", "7d", "10m"]), random.choice(["0s", "0s", "0s", "15s"])
    return Scene(_mode(random), draw() < 0.6, draw() < 0.6, hold_for, soak)


def image(random: Random) -> Image:
    """How the next image behaves."""
    kinds = [Image.GOOD, Image.FAILS, Image.WRONG, Image.WRONG_LIVE, Image.FLAKY, Image.LATE]
    return random.choices(kinds, [8, 2, 1.5, 1.5, 1, 1])[0]


def _mode(random: Random) -> Literal["auto", "manual", "notify"]:
    modes: list[Literal["auto", "manual", "notify"]] = ["auto", "manual", "notify"]
    return random.choices(modes, [16, 4, 1])[0]


@cache
def _rules(one: Scene) -> Agents:
    proofs = [f"{name}: {PROBE}" for name, asked in (("verify", one.verify), ("check", one.check)) if asked]
    release = ", ".join(
        [f"mode: {one.mode}, debounce: 5s, min_push_age: {one.min_push_age}, hold_for: {one.hold_for}", *proofs]
    )
    return load_agents(
        f"""
agents:
  {AGENT}:
    repository: {REPOSITORY}
    env: {{KEY: {{secret: {SECRET}}}, WORD: "{one.word}"}}
    release: {{{release}}}
    keep: {{newest: 1, min_age: 1m, failed: 1m, max_deletes: 3}}
""".encode()
    )
