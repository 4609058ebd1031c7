"""Foundry's rate: how the instances of the app share it, and how many releases go on at once after a 429.

Each instance says how long its releases have been in hand. Times are ages at one moment, so that the clocks of two
instances are never compared.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

THROTTLED_SECONDS = 60.0
"""How long after a 429 each poll waits for its fair share of the rate, since a refused read delays every release."""
RELEASE_READS_PER_SECOND = 0.12
"""What a running release asks for on average: several reads at its start and end, one now and then between."""
MAX_READ_QUEUE_SECONDS = 2.0
"""How long a read may have to wait while another release still starts: ten pages then take half a lease."""
DECISION_READS, MAX_DECISION_SECONDS = 3, 10.0
"""The reads of one decision, and how long they may take: a write follows reads of the last 20 s."""
MAX_READ_QUEUE = 2
"""So many reads may wait in any case: at a small share of the rate two of them take longer."""
RATE_AFTER_REFUSAL = 0.7
"""What is left of the rate after a 429."""
RATE_DOUBLES_AFTER_SECONDS = 30.0
"""After so long without a 429 twice the rate is tried."""
RECOVERY_READS = 10
"""So many reads without a 429 must be possible before twice the rate is tried, which takes longer at a small rate."""
MIN_READS_PER_SECOND = 0.1
"""What is left of the rate, however often Foundry refuses."""
MIN_UNSHARED_READS_PER_SECOND = 0.03
"""The same where no heartbeat can be written: each of several instances then has a rate of its own."""
HEARTBEAT_SECONDS = 15.0
"""How often an instance with releases in hand reports them, and reads what the others report."""
MAX_SILENT_SECONDS = 2 * HEARTBEAT_SECONDS
"""After so long without a heartbeat an instance has ended, or has nothing in hand."""
MAX_INSTANCES = 40
"""The default of the Flex Consumption plan: the rate is divided by it where no heartbeat can be written."""
RELEASES_OF_AN_INSTANCE = 48
"""How many an instance has in hand under load, on average: newBatchThreshold and half of batchSize in host.json."""


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """The waiting releases of this process and the rate that they share."""

    other_pauses: tuple[float, ...]
    """The pause in seconds that each of the others that wait would make between two polls, alone."""
    reads_per_second: float
    """The share of this process."""
    fastest_activation: float = 0.0
    """Seconds that the fastest recent version took to become active; 0 where that is unknown."""
    throttled: bool = False
    releases_at_once: float = math.inf
    """How many releases of the app go on at a time."""

    @property
    def polling(self) -> int:
        """How many wait, with the one that asks."""
        return len(self.other_pauses) + 1


def fair_pause(pauses: Collection[float], polls_per_second: float) -> float:
    """The shortest pause in seconds with which all stay within the rate, where those with longer pauses keep theirs."""
    rest, count = polls_per_second, len(pauses)
    for pause in sorted(pauses, reverse=True):
        if pause * rest < count:
            return count / rest
        rest, count = rest - 1 / pause, count - 1
    return 0.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What an instance reports; times in seconds before this moment."""

    instance: str
    ages: tuple[float, ...] = ()
    """How long each of its releases has been in hand."""
    since_refusal: float = math.inf
    """How long ago Foundry refused one of its requests."""
    rate_left: float = math.inf
    """What that refusal left of the app's rate, in reads a second."""

    def after(self, seconds: float) -> Heartbeat:
        """The same instance so much later."""
        return Heartbeat(
            self.instance, tuple(age + seconds for age in self.ages), self.since_refusal + seconds, self.rate_left
        )


def releases_at_once(app_reads_per_second: float) -> float:
    """How many releases of the app the rate feeds, after a 429: one at least, so that some release always goes on."""
    return max(1.0, app_reads_per_second / RELEASE_READS_PER_SECOND)


Releases = Sequence[tuple[float, str]]
"""Releases in hand, the first one first: when each began, on the clock of one instance, and at which instance."""


def count_ahead(release: tuple[float, str], own: Releases, others: Releases) -> int:
    """How many releases of the app began before that one; of two that began together the first instance's did."""
    return bisect_left(own, release) + bisect_left(others, release)


def rate_share(own: Releases, others: Releases, limit: float) -> float:
    """The share of the app's rate that an instance takes: by its releases among those that go on, one at least."""
    in_hand = len(own) + len(others)
    going = math.ceil(min(limit, in_hand))
    mine = sum(count_ahead(release, own, others) < limit for release in own)
    return mine / going if mine else 1 / (going + 1)


def takes_releases(own: str, others: Collection[str], at_once: float) -> bool:
    """Whether an instance takes releases after a 429: the first ones by name, as many as those that go on need.

    The reads of many instances meet in bursts, which Foundry refuses; those of one instance come one after another.
    """
    return sum(other < own for other in others) < max(1, int(at_once / RELEASES_OF_AN_INSTANCE))


def may_go_on(ahead: int, queue_seconds: float, load: LoadSnapshot) -> bool:
    """Whether a release may read on: each one without a recent 429, then those that began first.

    Otherwise the reads of all releases are refused in turn, and none gets the several answers in a row that it needs.
    ``queue_seconds``: how long a read waits for its turn now, less than nothing where several may go at once.
    """
    if not load.throttled:
        return True
    last_answer = queue_seconds + DECISION_READS / load.reads_per_second
    return ahead < load.releases_at_once and last_answer <= MAX_DECISION_SECONDS


def may_start(ahead: int, queue_seconds: float, load: LoadSnapshot) -> bool:
    """Whether a release may start: as ``may_go_on``, and where few reads wait; the oldest one starts in any case.

    A list of many pages waits once for each page.
    """
    if not load.throttled or ahead == 0:
        return True
    longest = max(MAX_READ_QUEUE_SECONDS, MAX_READ_QUEUE / load.reads_per_second)
    return ahead < load.releases_at_once and queue_seconds < longest


def rate_after_refusal(reads_per_second: float, minimum: float = MIN_READS_PER_SECOND) -> float:
    """The rate once Foundry has answered 429."""
    return max(minimum, reads_per_second * RATE_AFTER_REFUSAL)


def recovered_rate(reads_per_second: float, since_refusal: float, most: float) -> float:
    """The rate after so many seconds without a 429."""
    doubles_after = max(RATE_DOUBLES_AFTER_SECONDS, RECOVERY_READS / reads_per_second)
    return min(most, reads_per_second * math.exp2(min(since_refusal / doubles_after, 60.0)))


def is_throttled(reads_per_second: float, since_refusal: float) -> bool:
    """Whether a 429 counts still; ``reads_per_second`` is what it left of the rate."""
    return since_refusal < max(THROTTLED_SECONDS, 2 * RECOVERY_READS / reads_per_second)
