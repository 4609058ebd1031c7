"""``python -m tests.scale``: how lead time, requests and cost grow with agents and pushes, in virtual time."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, quantiles

from tests.scale.fleet import MAX_CONCURRENT_RELEASES, Fleet, Load, Measured
from tests.scale.hours import HOUR_HEADINGS, HourRow, measure_hour
from tests.scale.timers import TIMER_HEADINGS, TimerRow, measure_timers
from tests.simulation.virtual_time import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "scale.md"
NO_BUDGET, DEFAULT_BUDGET = float("inf"), 5.0
"""FOUNDRY_READS_PER_SECOND."""
GIB = 2
"""Memory of an instance on the Flex Consumption plan."""
GROWING = [Load(10, 2, 1), Load(25, 5, 1), Load(50, 10, 2), Load(100, 20, 2)]
GROWING += [Load(200, 40, instances) for instances in (1, 2, 7, 20, 40)]
GROWING += [Load(200, 1000, 1), Load(200, 1000, 2), Load(200, 1000, 7)]
UNLIMITED = [Load(24, 15, 1, foundry_limit=None), Load(100, 100, 5, foundry_limit=None, minutes=10)]
FULL = [Load(10, 2, 1, versions=990), Load(50, 10, 2, versions=990)]
HEADINGS = ("agents", "pushes/min", "instances", "budget", "went live", "lead p50", "lead p95", "lead mean",
            "Foundry/s", "polls/s", "429", "storage/min", "GiB-s/h")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One run."""

    load: Load
    measured: Measured

    @property
    def foundry_requests(self) -> int:
        return sum(count for name, count in self.measured.foundry.items() if name != "429")

    def cells(self) -> list[str]:
        """Return the cells in the order of the headings."""
        load, measured, seconds = self.load, self.measured, self.load.minutes * 60
        leads = measured.lead_times
        cuts = quantiles(leads, n=20) if len(leads) > 1 else []
        lead = [f"{value:.0f} s" for value in (cuts[9], cuts[18], mean(leads))] if cuts else ["never"] * 3
        return [
            str(load.agents), f"{load.pushes_per_minute:g}", str(load.instances),
            "none" if load.read_budget == NO_BUDGET else f"{load.read_budget:g}/s",
            f"{len(leads)} of {measured.pushes:,}", *lead,
            f"{self.foundry_requests / seconds:.1f}", f"{measured.foundry['get_version'] / seconds:.1f}",
            f"{100 * measured.foundry['429'] / max(1, self.foundry_requests):.0f} %",
            f"{sum(measured.storage.values()) / load.minutes:,.0f}",
            f"{measured.busy_seconds / seconds * 3600 * GIB:,.0f}",
        ]  # fmt: skip


def measure(load: Load) -> Row:
    """Run a load without logging: the journal has every line."""
    logging.disable(logging.CRITICAL)

    async def run_fleet() -> Measured:
        return await Fleet(load).run()

    try:
        return Row(load, run(run_fleet()))
    finally:
        logging.disable(logging.NOTSET)


def with_budgets(loads: Sequence[Load], *budgets: float) -> list[Load]:
    """Return each load with each budget."""
    return [replace(load, read_budget=budget) for load in loads for budget in (budgets or (NO_BUDGET, DEFAULT_BUDGET))]


def table(rows: Sequence[Row | TimerRow | HourRow], headings: Sequence[str]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {' | '.join(headings)} |", f"|{'--:|' * len(headings)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells())} |" for row in rows)])


INTRODUCTION = f"""# Scale

`make scale ARGS="--write"` writes this page; do not edit it. What follows from it: [Sizing](../how-to/scale.md).

The real handlers run with services in memory, in virtual time. Pushes come at random. A version takes 40 to 120 s, a
request to Foundry 100 ms, one to storage 20 ms. An instance runs at most {MAX_CONCURRENT_RELEASES} releases.

* `budget`: `FOUNDRY_READS_PER_SECOND`. With `none` a release polls at its own pace and does not wait for others. No
  SDK retries a refused request in either case.
* `lead`: from a push to its traffic, of the pushes that went live. The others were superseded, or still waited at the
  end.
* `Foundry/s`: requests, each page of a list counted; `polls/s`: those that read one version.
* `429`: the share of requests that were refused.
* `GiB-s/h`: of instances with 2 GiB, while anything runs on them.
* The timers run with the default budget, over agents that are live and need nothing, each with five versions. A run of
  `resume_releases` may take a minute, and one of `prune_versions` as long as Foundry needs for two reads an agent; the
  columns with `÷` are shares of that. What a run leaves to the next one it reports.
* An hour: every agent is live, `resume_releases` runs every five minutes, and pushes come at a steady pace, each to one
  agent. `storage/h` and `Foundry/h` are all requests of the app; `decisions/h` are lines of the journal, each of which
  telemetry gets too; `live` are the pushes that went live within the hour.
"""


def page(tables: dict[str, str]) -> str:
    """Return docs/reference/scale.md."""
    return INTRODUCTION + "".join(f"\n## {title}\n\n{text}\n" for title, text in tables.items())


TIMERS, HOURS = "The timers at rest", "An hour"
HOUR_SIZES = [(agents, pushes) for agents in (200, 400, 1000, 3000) for pushes in (0, 60, 120)]
TIMER_SIZES = [(agents, limit) for agents in (200, 1000, 3000) for limit in (5.0, 100.0)]
TIMER_SIZES += [(3000, 1.0)]
CHAPTERS: dict[str, list[Load]] = {
    "Foundry accepts 5 requests a second": with_budgets(GROWING),
    "Foundry has no limit": with_budgets(UNLIMITED, NO_BUDGET, DEFAULT_BUDGET, 2.0),
    "Each agent has 990 versions at the start": with_budgets(FULL),
}


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; write the page with --write."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", metavar="WORD", default="", help="the chapters with this word, such as timers")
    options, tables = parser.parse_args(arguments), dict[str, str]()
    with ProcessPoolExecutor(options.cores) as pool:
        for title in (title for title in (*CHAPTERS, TIMERS, HOURS) if options.only.lower() in title.lower()):
            tables[title] = chapter(title, pool)
            print(f"\n{title}\n\n{tables[title]}", flush=True)  # noqa: T201 - a person waits for it
    if options.write:
        PAGE.write_text(page(written(PAGE.read_text()) | tables))
    return 0


def chapter(title: str, pool: Executor) -> str:
    """Measure a chapter and return its table."""
    if title == TIMERS:
        return table(list(pool.map(measure_timers, TIMER_SIZES)), TIMER_HEADINGS)
    if title == HOURS:
        return table(list(pool.map(measure_hour, HOUR_SIZES)), HOUR_HEADINGS)
    return table(list(pool.map(measure, CHAPTERS[title])), HEADINGS)


def written(text: str) -> dict[str, str]:
    """Return the tables that the page has: all is in virtual time, so that a chapter can be measured by itself."""
    chapters = (part.partition("\n\n") for part in text.split("\n## ")[1:])
    return {title: body.strip() for title, _, body in chapters if title in {*CHAPTERS, TIMERS, HOURS}}


if __name__ == "__main__":
    sys.exit(main())
