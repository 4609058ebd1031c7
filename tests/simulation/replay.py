"""``python -m tests.simulation.replay --seed N``: one history, step by step."""

from __future__ import annotations

import argparse
import sys
import traceback

from tests.simulation.seeds import live


def main(arguments: list[str] | None = None) -> int:
    """Print what happens; returns 1 where an invariant breaks."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--harsh", type=float, default=1.0, help="0: nothing goes wrong; 1: as in the tests")
    given = parser.parse_args(arguments)
    try:
        live(given.seed, harsh=given.harsh, tell=print)
    except Exception:  # noqa: BLE001 - the finding, with the place where it was noticed
        traceback.print_exc(file=sys.stdout)
        return 1
    print("every invariant held")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
