"""``python -m tests.scale``: how lead time, calls and cost grow, by the real handlers in virtual time."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, quantiles

from tests.scale.fleet import AT_ONCE, Fleet, Seen, Size
from tests.simulation.virtual_time import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "scale.md"
BEFORE, BUDGET = float("inf"), 5.0
"""FOUNDRY_READS_PER_SECOND: none, which is the poll of before, and the default."""
GIB = 2
"""Memory of an instance on the Flex Consumption plan."""
GROWING = [Size(10, 2, 1), Size(25, 5, 1), Size(50, 10, 2), Size(100, 20, 2), Size(200, 40, 4), Size(200, 40, 7)]
GROWING += [Size(200, 1000, 1), Size(200, 1000, 2), Size(200, 1000, 7)]
UNLIMITED = [Size(24, 15, 1, a_second=None), Size(100, 100, 5, a_second=None, minutes=10)]
FULL = [Size(10, 2, 1, versions=990), Size(50, 10, 2, versions=990)]
HEADINGS = ("agents", "pushes/min", "instances", "poll", "went live", "lead p50", "lead p95", "lead mean", "Foundry/s",
            "looks/s", "429", "storage/min", "GiB-s/h")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One run."""

    size: Size
    seen: Seen

    @property
    def asked(self) -> int:
        """Requests that Foundry got."""
        return sum(count for name, count in self.seen.foundry.items() if name != "429")

    def cells(self) -> list[str]:
        """In the order of the headings."""
        size, seen, seconds = self.size, self.seen, self.size.minutes * 60
        cuts = quantiles(seen.leads, n=20) if len(seen.leads) > 1 else []
        lead = [f"{one:.0f} s" for one in (cuts[9], cuts[18], mean(seen.leads))] if cuts else ["never"] * 3
        return [
            str(size.agents), f"{size.pushes_a_minute:g}", str(size.instances),
            "before" if size.looks == BEFORE else f"{size.looks:g}/s",
            f"{len(seen.leads)} of {seen.pushes:,}", *lead,
            f"{self.asked / seconds:.1f}", f"{seen.foundry['version'] / seconds:.1f}",
            f"{100 * seen.foundry['429'] / max(1, self.asked):.0f} %",
            f"{sum(seen.storage.values()) / size.minutes:,.0f}", f"{seen.busy / seconds * 3600 * GIB:,.0f}",
        ]  # fmt: skip


def live(size: Size) -> Row:
    """One run, without its logs: the journal has every line."""
    logging.disable(logging.CRITICAL)

    async def lived() -> Seen:
        return await Fleet(size).run()

    try:
        return Row(size, run(lived()))
    finally:
        logging.disable(logging.NOTSET)


def both(sizes: Sequence[Size], *looks: float) -> list[Size]:
    """Each size with each poll, in one run."""
    return [replace(size, looks=one) for size in sizes for one in (looks or (BEFORE, BUDGET))]


def table(rows: Sequence[Row]) -> str:
    """As Markdown, which a terminal shows as well."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'--:|' * len(HEADINGS)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells())} |" for row in rows)])


INTRODUCTION = f"""# Scale

Written by `make scale ARGS="--write"`; do not edit. What follows from it: [how to set it](../how-to/scale.md).

The product's own handlers on fakes, in virtual time: pushes come by chance, versions take 40 to 120 s, a request to
Foundry 100 ms, one to storage 20 ms; an instance runs {AT_ONCE} releases at most.
`poll` is `FOUNDRY_READS_PER_SECOND`; `before` is the poll without any budget and without the queue in front of Foundry,
in the same run; no SDK repeats a refused request in either.
`lead` is from a push to its traffic, of the pushes that went
live; the others were overtaken by newer ones, or still waited at the end. `Foundry/s` counts the pages of a list one by
one; `429` is the share of requests that were refused; `GiB-s/h` is for instances of 2 GiB, while anything runs on them.
"""


def page(tables: dict[str, str]) -> str:
    """docs/reference/scale.md."""
    return INTRODUCTION + "".join(f"\n## {title}\n\n{text}\n" for title, text in tables.items())


CHAPTERS: dict[str, list[Size]] = {
    "Foundry takes 5 requests a second": both(GROWING),
    "Foundry takes what comes": both(UNLIMITED, BEFORE, BUDGET, 2.0),
    "Each agent has 990 versions already": both(FULL),
}


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; write the page where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    given, tables = parser.parse_args(arguments), dict[str, str]()
    with ProcessPoolExecutor(given.cores) as pool:
        for title, sizes in CHAPTERS.items():
            tables[title] = table(list(pool.map(live, sizes)))
            print(f"\n{title}\n\n{tables[title]}", flush=True)  # noqa: T201 - a person waits for it
    if given.write:
        PAGE.write_text(page(tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
