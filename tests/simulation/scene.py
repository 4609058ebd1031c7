"""What a history begins with, drawn from its seed: the agent spec and how images behave."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
DATASET = b"\n".join(b'{"ask": "%d", "expect": "pong", "reference": "pong"}' % number for number in range(3))
Mode = Literal["auto", "manual", "notify"]


class Behaviour(StrEnum):
    """How the versions of an image behave."""

    GOOD = "good"
    FAILS = "fails"
    """They never become active."""
    WRONG = "wrong"
    """They never give the expected answer."""
    WRONG_LIVE = "wrong live"
    """They give the expected answer until they have traffic."""
    FLAKY = "flaky"
    LATE = "late"
    """They are active some time before they answer at all."""


@dataclass(frozen=True)
class Scene:
    """The agent spec; a configuration change replaces it."""

    mode: Mode
    verify: bool
    check: bool
    hold_for: str
    min_push_age: str = "0s"
    provision_within: str = "15m"
    env_from_vault: bool = False
    variable: str = "one"
    """The value of an environment variable, which a configuration change may alter."""
    windows: str = ""
    """``release.windows``, where there are some."""
    evaluate: str = ""
    """``release.evaluate``, where a version must answer a dataset."""
    signed_by: str = ""
    """``release.signed_by``, where an image must be signed."""

    @property
    def agents(self) -> Agents:
        return _agents(self)

    def changed(self, random: Random) -> Scene:
        """Draw the spec after a configuration change."""
        if random.random() < 0.4:
            return replace(self, variable=self.variable + "!")
        return replace(self, mode=_mode(random), verify=random.random() < 0.6, check=random.random() < 0.6)


def draw_scene(random: Random) -> Scene:
    """Draw the first spec of a history."""
    draw = random.random
    hold_for, min_push_age = random.choice(["7d", "7d", "10m"]), random.choice(["0s", "0s", "0s", "15s"])
    within = random.choice(["15m", "15m", "1m"])
    return Scene(_mode(random), draw() < 0.6, draw() < 0.6, hold_for, min_push_age, within)


def draw_behaviour(random: Random) -> Behaviour:
    """Draw how the next image behaves."""
    return random.choices(list(Behaviour), [8, 2, 1.5, 1.5, 1, 1])[0]


def _mode(random: Random) -> Mode:
    modes: list[Mode] = ["auto", "manual", "notify"]
    return random.choices(modes, [16, 4, 1])[0]


@cache
def _agents(scene: Scene) -> Agents:
    probes = [f"{gate}: {PROBE}" for gate, is_set in (("verify", scene.verify), ("check", scene.check)) if is_set]
    times = {"min_push_age": scene.min_push_age, "hold_for": scene.hold_for, "provision_within": scene.provision_within}
    ages = ", ".join(["debounce: 5s", *(f"{name}: {time}" for name, time in times.items())])
    gates = {"windows": scene.windows, "evaluate": scene.evaluate, "signed_by": scene.signed_by}
    others = [f"{name}: {value}" for name, value in gates.items() if value]
    release = ", ".join([f"mode: {scene.mode}, {ages}", *probes, *others])
    return load_agents(
        f"""
agents:
  {AGENT}:
    repository: {REPOSITORY}
    env: {{KEY: {{secret: {SECRET}}}, WORD: "{scene.variable}"}}
    env_from_vault: {str(scene.env_from_vault).lower()}
    release: {{{release}}}
    keep: {{newest: 1, min_age: 1m, failed: 1m, max_deletes: 3}}
""".encode(),
        lambda _: DATASET,
    )
