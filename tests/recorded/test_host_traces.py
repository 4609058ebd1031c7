"""Our Functions host does what Azure's own dispatchers did: every recorded scenario, in virtual time.

The traces lie beside the checkout, in ``../shared/recorded/host``; without them these tests are skipped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.functions_host.host_json import HostJsonError
from tests.recorded.host_comparison import PATIENCE, Tolerance, differences
from tests.recorded.host_replay import replay
from tests.recorded.host_world import Step
from tests.simulation.virtual_time import run

FOLDER = Path(__file__).parents[3] / "shared" / "recorded" / "host"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no traces in {FOLDER}")


@dataclass(frozen=True)
class Row:
    """A recorded scenario."""

    rule: str
    """The rule that the scenario shows."""
    source: str
    """The class of Azure's that has the rule."""
    tolerance: Tolerance = field(default_factory=Tolerance)
    first_schedule: str = ""
    drain_at: float = 0.0
    looks_later: float = 0.0


ROWS = {
    "A-no-queue": Row("a missing queue is asked for at every poll and never made", "QueueListener"),
    "B-back-off": Row(
        "empty polls come after 0.1, 0.2, 0.3, 0.5, 0.9 s and so on, by a fifth more or less",
        "RandomizedExponentialBackoffStrategy",
        Tolerance(pauses=True),
    ),
    "C-batch": Row("the next batch is taken when 16 run", "QueueListener"),
    "D-singly": Row("17 run, and the 18th is taken when one has ended", "QueueListener"),
    "E-refill": Row("batches follow each other without a pause", "QueueListener", Tolerance(span=True)),
    "E2-refill-slow-poll": Row(
        "the first poll after idleness waits, the next batches do not",
        "QueueListener",
        Tolerance(seconds=1.5, span=True),  # the seventh pause is 5.2 to 7.8 s
    ),
    "F-failure": Row("five tries, then the poison queue is made and read at once", "QueueProcessor"),
    "G-killed": Row("the sixth delivery goes to the poison queue without a run", "QueueProcessor"),
    "H-poison-fails": Row(
        "a message of a poison queue stays hidden for its ten minutes", "QueueProcessor", looks_later=PATIENCE
    ),
    "I-undecodable": Row(
        "what is not base64 goes to the poison queue raw, and stays there", "QueueServiceClientProvider"
    ),
    "J-renewal": Row("a message is hidden for ten more minutes every five", "QueueListener"),
    "K-stop": Row("a stop waits for what runs, and deletes its message", "QueueListener"),
    "K2-drain": Row("a drained host takes nothing more and stays up", "DrainModeManager", drain_at=1.26),
    "L-timeout": Row(
        "a run beyond functionTimeout ends the process, and nothing is released",
        "FunctionTimeoutException",
        Tolerance(ends_itself=True),
    ),
    "M-event-grid": Row("the answers of the web-hook", "EventGridExtensionConfigProvider"),
    "N1-overrun": Row("a run that overruns fires again at once, once", "TimerListener"),
    "N2-past-due": Row("a due time missed while no host ran is made up for at the start", "ScheduleMonitor"),
    "N2b-never-run": Row("so is one before the first run", "ScheduleMonitor"),
    "N3-schedule-changed": Row(
        "what an earlier schedule missed is not made up for", "ScheduleMonitor", first_schedule="0 */1 * * * *"
    ),
    "N4-killed-in-run": Row("the successor of a killed host gets the lease after a minute", "SingletonListener"),
    "N6-run-on-startup": Row("runOnStartup runs at every start", "TimerListener"),
    "N7-stop-in-run": Row("a stop waits for a timer's run", "TimerListener"),
    "O1-storage-silent": Row("40 s without an answer are survived", "RetryOptions.NetworkTimeout"),
    "O2-storage-away": Row(
        "six refused tries end the process, and a run that ended well comes again",
        "RetryOptions, WebJobsExceptionHandler",
        Tolerance(ends_itself=True),
    ),
    "O3-start-without-storage": Row(
        "a host starts without storage and works when it is back",
        "RetryOptions",
        Tolerance(seconds=4.0, polls=False),  # the last pause between tries is 10.2 to 15.4 s
    ),
}
"""P-bad-settings has a test of its own: there is nothing to replay."""


def trace(name: str) -> Step:
    content: Step = json.loads((FOLDER / f"{name}.json").read_text())
    return content


@pytest.mark.parametrize("name", ROWS)
def test_our_host_does_what_azures_dispatchers_did(name: str) -> None:
    row, recorded = ROWS[name], trace(name)
    options = {"drain_at": row.drain_at, "looks_later": row.looks_later}
    ours = run(replay(recorded, first_schedule=row.first_schedule, **options))
    assert not [*differences(recorded["steps"], ours, row.tolerance)], row.rule


def test_no_host_starts_with_a_setting_out_of_range() -> None:
    recorded = trace("P-bad-settings")
    assert recorded["steps"][-1]["code"] != 0
    with pytest.raises(HostJsonError, match=r"batchSize is '33'; write a whole number from 1 to 32"):
        run(replay(recorded | {"steps": [{"ms": 0, "what": "host started"}]}))


def test_every_trace_has_a_row() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*ROWS, "P-bad-settings"}


def test_a_poison_queue_is_read_at_once_however_long_the_pauses_between_polls_are() -> None:
    recorded = trace("F-failure")
    slow = {"extensions": {"queues": {"visibilityTimeout": "00:00:03", "maxPollingInterval": "00:01:00"}}}
    steps = [step for step in recorded["steps"] if step["ms"] < 2_000]
    ours = run(replay(recorded | {"host.json": slow, "steps": steps}))
    (poisoned,) = (step["ms"] for step in ours if step.get("what") == "begin" and step["function"] == "poisoned")
    (added,) = (step["ms"] for step in ours if step.get("request", "").startswith("POST") and step["status"] == 201)
    assert poisoned - added < 50


def test_the_comparison_notices_a_change() -> None:
    """A trace in which a message is deleted after a failed run, or a second later, is another one."""
    steps = trace("K-stop")["steps"]
    ours = run(replay(trace("K-stop")))
    for change in ({"status": 500}, {"ms": 9000}, {"request": "DELETE /work/messages/m2?popreceipt=R"}):
        changed = [step | change if "DELETE" in step.get("request", "") else step for step in steps]
        assert [*differences(changed, ours, Tolerance())], change
