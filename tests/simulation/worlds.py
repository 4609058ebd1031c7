"""The kinds of histories, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.simulation import (
    evaluation_world,
    registry_world,
    secrets_world,
    seeds,
    signatures_world,
    stages_world,
    waits_world,
    windows_world,
)
from tests.simulation.instances import Instances
from tests.simulation.run import Mutant

AGENT_WORLD = "agent"
WORLDS: Mapping[str, Callable[..., Instances]] = {
    AGENT_WORLD: seeds.simulate,
    "evaluation": evaluation_world.simulate,
    "registry": registry_world.simulate,
    "secrets": secrets_world.simulate,
    "signatures": signatures_world.simulate,
    "stages": stages_world.simulate,
    "waits": waits_world.simulate,
    "windows": windows_world.simulate,
}


def find_violation(seed: int, *, world: str = AGENT_WORLD, mutant: Mutant | None = None) -> str | None:
    """Run a history; return what it violates and how to replay it, or None."""
    try:
        WORLDS[world](seed, mutant=mutant)
    except Exception as error:  # noqa: BLE001 - an unexpected error of a handler is a finding too
        replay = f"python -m tests.simulation.replay --seed {seed}" + (
            "" if world == AGENT_WORLD else f" --world {world}"
        )
        return f"seed {seed}: {type(error).__name__}: {error}\n  replay: {replay}"
    return None
