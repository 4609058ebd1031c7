"""``python -m tests.simulation.replay --seed N``: print one history, step by step."""

from __future__ import annotations

import argparse
import sys
import traceback

from tests.simulation.worlds import AGENT_WORLD, WORLDS


def main(arguments: list[str] | None = None) -> int:
    """Print the history; return 1 if it violates an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--world", choices=WORLDS, default=AGENT_WORLD, help="what the history is about")
    options = parser.parse_args(arguments)
    try:
        WORLDS[options.world](options.seed, log=print)
    except Exception:  # noqa: BLE001 - an unexpected error of a handler is a finding too
        traceback.print_exc(file=sys.stdout)
        return 1
    print("every invariant held")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
