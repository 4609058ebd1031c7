"""``python -m tests.scale``: how lead time, requests and cost grow with agents and pushes, in virtual time."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.scale.fleet import MAX_CONCURRENT_RELEASES, Fleet, Load, Measured
from tests.scale.hours import HOUR_HEADINGS, measure_hour
from tests.scale.storm import EVENTS, STORM_HEADINGS, Storm, measure_storm
from tests.scale.timers import TIMER_HEADINGS, measure_timers
from tests.scale.wave import AGENT_COUNT, PROVISIONING_SECONDS, WAVE_HEADINGS, WAVE_LIMITS, wave_cells
from tests.simulation.virtual_time import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "scale.md"
NO_BUDGET, DEFAULT_BUDGET = float("inf"), 5.0
"""FOUNDRY_READS_PER_SECOND."""
SEEDS = (1, 2, 3)
GIB = 2
"""Memory of an instance on the Flex Consumption plan."""
HEADINGS = ("agents", "pushes/min", "instances", "budget", "went live", "÷ best", "lead p50", "lead p95",
            "Foundry/s", "of its limit", "of the slots", "429", "storage/min", "GiB-s/h")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One load, run with several seeds."""

    load: Load
    runs: Sequence[Measured]

    def shares(self, best: Sequence[int]) -> str:
        """What went live ÷ the most of the same seed, from the lowest to the highest of the seeds."""
        live = zip((len(run.lead_times) for run in self.runs), best, strict=True)
        shares = [f"{count / max(1, most):.2f}" for count, most in live]
        return min(shares) if min(shares) == max(shares) else f"{min(shares)} to {max(shares)}"

    def cells(self, best: Sequence[int]) -> list[str]:
        """Return the cells in the order of the headings, of the middle one of the runs.

        ``best``: the most that any number of instances bring live, by seed.
        """
        load, seconds = self.load, self.load.minutes * 60
        measured = sorted(self.runs, key=lambda run: len(run.lead_times))[len(self.runs) // 2]
        leads, refused, sent = measured.lead_times, measured.foundry["429"], measured.foundry_requests
        cuts = quantiles(leads, n=20) if len(leads) > 1 else []
        lead = [f"{cuts[index]:.0f} s" for index in (9, 18)] if cuts else ["never"] * 2
        accepted, slots = (sent - refused) / seconds, load.instances * MAX_CONCURRENT_RELEASES
        return [
            f"{load.agents:,}", f"{load.pushes_per_minute:g}", str(load.instances), f"{load.read_budget:g}/s",
            f"{len(leads)} of {measured.pushes:,}", self.shares(best), *lead,
            f"{sent / seconds:.1f}",
            f"{100 * accepted / load.foundry_limit:.0f} %" if load.foundry_limit else "-",
            f"{100 * measured.running_seconds / seconds / slots:.0f} %",
            f"{100 * refused / max(1, sent):.0f} %",
            f"{sum(measured.storage.values()) / load.minutes:,.0f}",
            f"{measured.busy_seconds / seconds * 3600 * GIB:,.0f}",
        ]  # fmt: skip


def measure(load: Load, seed: int = 1) -> Measured:
    """Run a load without logging: the journal has every line."""
    logging.disable(logging.CRITICAL)

    async def run_fleet() -> Measured:
        return await Fleet(load, seed).run()

    try:
        return run(run_fleet())
    finally:
        logging.disable(logging.NOTSET)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {' | '.join(headings)} |", f"|{'--:|' * len(headings)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def load_table(rows: Sequence[Row]) -> str:
    """Return runs as a table; runs that differ in their instances alone are compared."""
    best = dict[Load, list[int]]()
    for row in rows:
        alike, live = replace(row.load, instances=0), [len(run.lead_times) for run in row.runs]
        best[alike] = [max(pair) for pair in zip(best.get(alike, live), live, strict=True)]
    return table(HEADINGS, [row.cells(best[replace(row.load, instances=0)]) for row in rows])


TIMES = ", ".join(f"{seconds:g}" for seconds in sorted(PROVISIONING_SECONDS.values()))
INTRODUCTION = f"""# Scale

`make scale ARGS="--write"` writes this page; do not edit it. What follows from it: [Sizing](../how-to/scale.md).

The real handlers run with services in memory, in virtual time: 200 agents for 20 minutes, 1,000 for ten minutes or six.
Pushes come at random. A version takes 40 to 120 s, a
request to Foundry 100 ms, one to storage 20 ms. An instance runs {MAX_CONCURRENT_RELEASES} releases.

* `budget`: `FOUNDRY_READS_PER_SECOND`. No SDK retries a refused request.
* `lead`: from a push to its traffic, of the pushes that went live. The others were superseded, or still waited at the
  end.
* Each load runs with {len(SEEDS)} seeds: other pushes at other times. A row shows the run in the middle by what went
  live.
* `÷ best`: what went live ÷ the most that any number of instances brought live under the same load and with the same
  seed; where the seeds differ, the lowest and the highest.
* `Foundry/s`: requests, each page of a list counted, and the refused ones too.
* The first limit of a row is what is near 100 %: `of its limit`, the accepted requests ÷ those that Foundry accepts, or
  `of the slots`, the messages in hand ÷ those that the instances take. While Foundry refuses requests, waiting messages
  use slots too.
* `429`: the share of requests that were refused.
* `GiB-s/h`: of instances with 2 GiB, while anything runs on them.
* The timers run with the default budget, over agents that are live and need nothing, each with five versions. A run of
  `resume_releases` may take a minute, and one of `prune_versions` as long as Foundry needs for two reads an agent; the
  columns with `÷` are shares of that. What a run leaves to the next one it reports.
* An hour: every agent is live, `resume_releases` runs every five minutes, and pushes come at a steady pace, each to one
  agent. `storage/h` and `Foundry/h` are all requests of the app; `decisions/h` are lines of the journal, each of which
  telemetry gets too; `live` are the pushes that went live within the hour.
* A storm: {EVENTS:,} events wait in the queue `events` at once, each of its own push, in any order or the oldest first;
  the budget is what Foundry takes. `storage an event` counts reads and writes of desired states and messages. An event
  whose writes fail five times is lost. `releases queue` is the longest that this queue was.
* A wave: one push to {AGENT_COUNT} agents in {len(PROVISIONING_SECONDS)} projects at once, with the default budget; a
  version takes {TIMES} s by project, and each release has an instance to run on.
"""


def page(tables: dict[str, str]) -> str:
    """Return docs/reference/scale.md."""
    chapters = [f"\n## {title}\n\n{tables[title]}\n" for title in TITLES if title in tables]
    return INTRODUCTION + "".join(chapters)


TIMERS, HOURS, STORMS = "The timers at rest", "An hour", "A storm of events"
WAVES = "A wave through several projects"
HOUR_SIZES = [(agents, pushes) for agents in (200, 400, 1000, 3000) for pushes in (0, 60, 120)]
TIMER_SIZES = [(agents, limit) for agents in (200, 1000, 3000) for limit in (5.0, 100.0)]
TIMER_SIZES += [(3000, 1.0)]
STORM_SIZES = [Storm(1, instances, shuffled=shuffled) for shuffled in (True, False) for instances in (1, 40)]
STORM_SIZES += [Storm(1000, 7, 5.0), Storm(1000, 7, 20.0)]


def loads(agents: int, limit: float, instances: Sequence[int], budget: float | None = None, **more: Any) -> list[Load]:
    """Return loads that differ in their instances; each agent gets a push each five minutes."""
    budget = budget or max(DEFAULT_BUDGET, limit)
    return [Load(agents, agents / 5, n, foundry_limit=limit, read_budget=budget, **more) for n in instances]


ANY_NUMBER = (1, 2, 7, 20, 40)
CHAPTERS: dict[str, list[Load]] = {
    "Foundry accepts 0.2 requests a second": loads(200, 0.2, (1, 7, 40)),
    "Foundry accepts 1 request a second": loads(200, 1.0, (1, 7, 40)),
    "Foundry accepts 5 requests a second": [
        *loads(10, 5.0, [1]), *loads(50, 5.0, [2]), *loads(100, 5.0, [2]), *loads(200, 5.0, ANY_NUMBER),
        *loads(1000, 5.0, (7, 40), minutes=10),
    ],
    "Foundry accepts 20 requests a second": [
        *loads(1000, 20.0, (1, 7, 40), minutes=6), *loads(1000, 20.0, [7], DEFAULT_BUDGET, minutes=6)
    ],
    "Foundry accepts 100 requests a second": [
        *loads(1000, 100.0, (1, 7, 40), minutes=6), *loads(1000, 100.0, [7], DEFAULT_BUDGET, minutes=6)
    ],
    "Each agent has 990 versions at the start": [
        *loads(10, 5.0, [1], versions=990), *loads(50, 5.0, [2], versions=990)
    ],
}  # fmt: skip
TITLES = (*CHAPTERS, STORMS, WAVES, TIMERS, HOURS)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; write the page with --write."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", metavar="WORD", default="", help="the chapters with these words, such as timers")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.cores) as pool:
        for title in (title for title in TITLES if options.only.lower() in title.lower()):
            measured = chapter(title, pool)
            print(f"\n{title}\n\n{measured}", flush=True)  # noqa: T201 - a person waits for it
            if options.write:  # after each chapter, since all of them take long
                PAGE.write_text(page(written(PAGE.read_text()) | {title: measured}))
    return 0


def chapter(title: str, pool: Executor) -> str:
    """Measure a chapter and return its table."""
    if title == TIMERS:
        return table(TIMER_HEADINGS, [row.cells() for row in pool.map(measure_timers, TIMER_SIZES)])
    if title == HOURS:
        return table(HOUR_HEADINGS, [row.cells() for row in pool.map(measure_hour, HOUR_SIZES)])
    if title == STORMS:
        return table(STORM_HEADINGS, [row.cells() for row in pool.map(measure_storm, STORM_SIZES)])
    if title == WAVES:
        return table(WAVE_HEADINGS, pool.map(wave_cells, WAVE_LIMITS))
    runs = [(load, seed) for load in CHAPTERS[title] for seed in SEEDS]
    measured = list(pool.map(measure, *zip(*runs, strict=True)))
    starts = range(0, len(runs), len(SEEDS))
    return load_table([Row(runs[start][0], measured[start : start + len(SEEDS)]) for start in starts])


def written(text: str) -> dict[str, str]:
    """Return the tables that the page has: all is in virtual time, so that a chapter can be measured by itself."""
    chapters = (part.partition("\n\n") for part in text.split("\n## ")[1:])
    return {title: body.strip() for title, _, body in chapters if title in TITLES}


if __name__ == "__main__":
    sys.exit(main())
