"""Compares the steps of our Functions host with those of Azure's dispatchers in the same scenario."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from local.functions_host.queue_rules import JITTER
from tests.recorded.host_world import Step

DELAY = 0.1
"""Seconds that a busy machine adds to a pause."""
PATIENCE = 0.6
"""Seconds by which the same step may come earlier or later: a poll comes within 0.1 s, and five of them add up."""
POLLS_SHARE, POLLS_EXTRA = 0.15, 5
"""How far the number of polls may differ: ours has a storage account that answers in 2 ms."""
POLL = re.compile(r"GET /([a-z-]+)(/messages)?\?")
SETUP = ("HEAD /azure-webjobs-hosts/", "GET /azure-webjobs-hosts/", "PUT /azure-webjobs-hosts?")
LONG = re.compile(r'"sleep": ?[1-9]')
FRACTION = re.compile(r"\.000Z\b")


@dataclass(frozen=True)
class Tolerance:
    """How far a scenario may differ, beyond what every scenario may."""

    seconds: float = PATIENCE
    polls: bool = True
    """Compare the number of polls."""
    span: bool = False
    """Compare the time from the first run to the last: ours must not take longer."""
    pauses: bool = False
    """Compare each pause between two polls: Azure's is random by a fifth, and ours here has no chance in it."""
    ends_itself: bool = False
    """The process must end itself: the trace of one that does has no step for it."""


def differences(theirs: list[Step], ours: list[Step], tolerance: Tolerance) -> Iterator[str]:
    """Every difference between two lists of steps, as a sentence."""
    theirs = list(_of_living(theirs))
    if tolerance.ends_itself:
        exited = next((step for step in ours if step.get("what") == "host exited"), None)
        if exited is None or exited["code"] == 0:
            yield "our process does not end itself"
            return
        ours = [step for step in ours if step is not exited]
        theirs = [step for step in theirs if step.get("what") != "end" or step["ms"] < exited["ms"]]
    yield from _steps(theirs, ours, tolerance.seconds)
    yield from _most_running(theirs, ours)
    yield from _order(theirs, ours)
    if tolerance.polls:
        yield from _polls(theirs, ours)
    if tolerance.span and _span(ours) > _span(theirs) + DELAY:
        yield f"all runs begin within {_span(theirs):.2f} s, ours within {_span(ours):.2f} s"
    if tolerance.pauses:
        yield from _pauses(theirs, ours)


def _of_living(steps: list[Step]) -> Iterator[Step]:
    """The steps without the ends of runs that began before a kill: the program behind the dispatchers lived on."""
    orphans = Counter[str]()
    begun = Counter[str]()
    for step in steps:
        what, run = step.get("what"), f"{step.get('function')} {step.get('message')}"
        if what == "begin":
            begun[run] += 1
        elif what == "sent SIGKILL":
            orphans, begun = orphans + begun, Counter()
        elif what == "end" and orphans[run]:
            orphans[run] -= 1
            continue
        elif what == "end":
            begun[run] -= 1
        yield step


def _steps(theirs: list[Step], ours: list[Step], seconds: float) -> Iterator[str]:
    """Compare what happened, how often, and when; what happened to a queue message is named after it."""
    expected, seen = _times(theirs), _times(ours)
    for event in expected.keys() | seen.keys():
        first, second = expected.get(event, []), seen.get(event, [])
        if len(first) != len(second):
            yield f"{event}: {len(first)} times, ours {len(second)} times"
            continue
        for at, our_at in zip(first, second, strict=True):
            if abs(at - our_at) > seconds * 1000:
                yield f"{event}: at {at} ms, ours at {our_at} ms"


def _times(steps: list[Step]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for step in steps:
        if event := _event(step):
            found.setdefault(event, []).append(step["ms"])
    return found


def _event(step: Step) -> str:
    """What a step says that both must say, or nothing."""
    if "request" in step:
        line = step["request"]
        skipped = POLL.match(line) or line.startswith(SETUP) or (step["status"] == 404 and "?comp=lease" in line)
        is_new_lock = line.endswith(".Listener")
        return "" if skipped or is_new_lock else f"{line} -> {step['status']}"
    what = step["what"]
    if what == "begin":
        return f"begin {step['function']} {step.get('message')} {step.get('dequeueCount')} {_data(step['data'])}"
    if what == "end":
        return f"end {step['function']} {step.get('message')} {step['ok']}"
    if what == "look":
        return f"look {step['queue']} {step['exists']} {json.dumps(step['visible'])} {step['count']}"
    if what == "answer":
        return f"answer {json.dumps(step['asked'])} {step['status']} {_text(step)} {_names(step['webhook'])}"
    return f"host exited {step['code']}" if what == "host exited" else what if what == "drain asked" else ""


def _data(data: Any) -> str:
    """What a function gets; an event is compared as JSON, a timer's status by its times to the second."""
    if isinstance(data, dict):
        status = data["ScheduleStatus"]
        times = {name: time[:19] for name, time in status.items() if name == "Next"} if status else None
        never = {name for name, time in status.items() if time.startswith("0001")} if status else None
        return f"{data['IsPastDue']} {times} {sorted(never) if never is not None else None}"
    text = FRACTION.sub("Z", data)  # the recorded extension was older than production's, which leaves times as they are
    return json.dumps(json.loads(text), sort_keys=True) if text.startswith("{") else text


def _text(step: Step) -> str:
    """The body of an answer; the script host of production names a function with a prefix."""
    return str(step["body"]).replace("Functions.", "")


def _names(headers: dict[str, str]) -> str:
    return json.dumps({name.lower(): value for name, value in headers.items()})


def _most_running(theirs: list[Step], ours: list[Step]) -> Iterator[str]:
    """Compare how many runs there were at once before the first ended, where runs take seconds."""
    first, second = _running_at_first_end(theirs), _running_at_first_end(ours)
    if first != second:
        yield f"{first} run before the first ends, ours {second}"


def _running_at_first_end(steps: list[Step]) -> int:
    most = 0
    for step in steps:
        if step.get("what") in ("end", "sent SIGKILL"):
            break
        if step.get("what") == "begin" and LONG.search(str(step["data"])):
            most = step["running"]
    return most


def _order(theirs: list[Step], ours: list[Step]) -> Iterator[str]:
    """Compare the order of what happened to each message."""
    first, second = _by_message(theirs), _by_message(ours)
    for message in first:
        if first[message] != second.get(message):
            yield f"{message}: {first[message]}, ours {second.get(message)}"


def _by_message(steps: list[Step]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps:
        message = step.get("message") or next(iter(re.findall(r"/messages/(m\d+)\?", step.get("request", ""))), None)
        if message and step.get("what") != "sent":
            found.setdefault(message, []).append(step.get("what") or step["request"].split()[0])
    return found


def _polls(theirs: list[Step], ours: list[Step]) -> Iterator[str]:
    expected, seen = _poll_counts(theirs), _poll_counts(ours)
    for queue in expected | seen:
        allowed = expected[queue] * POLLS_SHARE + POLLS_EXTRA
        if abs(expected[queue] - seen[queue]) > allowed:
            yield f"polls of {queue}: {expected[queue]}, ours {seen[queue]}"


def _poll_counts(steps: list[Step]) -> Counter[str]:
    found = Counter[str]()
    for step in steps:
        if match := POLL.match(step.get("request", "")):
            found[f"{match[1]}{match[2] or ''} {step['status']}"] += 1 + step.get("again", 0)
    return found


def _pauses(theirs: list[Step], ours: list[Step]) -> Iterator[str]:
    for queue in ("work", "work-poison"):
        pairs = zip(_pause_list(theirs, queue), _pause_list(ours, queue), strict=False)
        for number, (pause, our_pause) in enumerate(pairs):
            if not our_pause * JITTER[0] - DELAY <= pause <= our_pause * JITTER[1] + DELAY:
                yield f"pause {number} of {queue}: {pause:.2f} s, ours {our_pause:.2f} s"


def _pause_list(steps: list[Step], queue: str) -> list[float]:
    polls = [step["ms"] / 1000 for step in steps if step.get("request", "").startswith(f"GET /{queue}/messages?")]
    return [after - before for before, after in pairwise(polls)]


def _span(steps: list[Step]) -> float:
    begins = [step["ms"] / 1000 for step in steps if step.get("what") == "begin"]
    return float(begins[-1] - begins[0])
