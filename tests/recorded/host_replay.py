"""Drives our Functions host through what a trace of Azure's dispatchers did, in virtual time, and records the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from multidict import CIMultiDict, MultiDict

from local.functions_host import event_grid, host_json
from local.functions_host.dispatch import Dispatch
from local.functions_host.indexing import Function
from local.functions_host.timer_listener import TimerListener
from local.functions_host.triggers import Triggers, queue_listeners
from tests.recorded.host_world import Account, Life, MemoryQueue, MemoryTimers, Step, base64

PROCESSORS = 2
LAST_SECONDS = 60
"""Seconds for which a replay goes on after the last step, so that what comes too late is recorded."""
NO_TIME = datetime(2026, 11, 27, 3, 0, 30, tzinfo=UTC)
"""A time of day at which timers of every 10 and 15 seconds are due."""
OF_THE_HOST = ("host started", "host exited", "begin", "end", "drain asked")
"""Steps that are not done to the host but by it."""
NEVER = "0001-01-01T00:00:00+00:00"


class Host:
    """One process of the host."""

    def __init__(self, account: Account, trace: Step, schedule: str = "") -> None:
        settings = host_json.parse(trace["host.json"], {}, PROCESSORS)
        self._account, self._life = account, Life()
        self._runs = {function: durations(trace, function) for function in names(trace)}
        self._running = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        functions = [_function(item, schedule) for item in trace["functions"]]
        self._functions = {item.name: item for item in functions if item.trigger == "eventGridTrigger"}
        self._dispatch = Dispatch(self._run, settings.function_timeout, self._end)
        queues = queue_listeners(
            functions, lambda name: MemoryQueue(account, self._life, name), settings, self._dispatch, lambda *_: 1.0
        )
        store = MemoryTimers(account, self._life)
        timers = [TimerListener(item, store, self._dispatch, account.now) for item in functions if item.schedule]
        self.triggers = Triggers([*queues, *timers])
        self.triggers.start()

    async def terminate(self) -> None:
        """SIGTERM: drain, then exit."""
        await self.triggers.drain()
        self._over(0)

    def kill(self) -> None:
        """SIGKILL."""
        self._over(-9)

    async def answer(self, asked: list[Any]) -> None:
        """Send the web-hook a request, and record its answer."""
        method, query, headers, body = asked
        pairs = [tuple(part.split("=")) for part in query.split("&") if part]
        request = _Request(method, MultiDict(pairs), CIMultiDict(headers or {}), (body or "").encode())

        async def run(name: str, event: str) -> bool:
            return await self._dispatch.run(self._functions[name], event)

        answer = await event_grid.respond(request, self._functions, run)
        self._account.record(what="answer", asked=asked, status=answer.status, webhook=answer.headers, body=answer.text)

    async def _run(self, function: Function, payload: str, metadata: dict[str, Any] | None) -> bool:
        """Do what the program behind the trace's dispatchers did: sleep, fail with "boom", or return at once."""
        if self._life.is_over:
            raise asyncio.CancelledError
        data = json.loads(payload) if function.schedule else payload
        message = {"message": metadata["Id"], "dequeueCount": metadata["DequeueCount"]} if metadata else {}
        self._running += 1
        self._account.record(what="begin", function=function.name, data=data, running=self._running, **message)
        await asyncio.sleep(next(self._runs[function.name]) if function.schedule else _sleep(payload))
        self._running -= 1
        succeeded = "boom" not in payload
        if not self._life.is_over:
            self._account.record(what="end", function=function.name, ok=succeeded, **dict([*message.items()][:1]))
        return succeeded

    def _end(self, reason: str) -> NoReturn:
        self._over(1)
        raise asyncio.CancelledError(reason)

    def _over(self, code: int) -> None:
        if not self._life.is_over:
            self._account.record(what="host exited", code=code)
        self._life.is_over = True


class _Request:
    """A request to the web-hook."""

    def __init__(self, method: str, query: MultiDict[str], headers: CIMultiDict[str], body: bytes) -> None:
        self.method, self.query, self.headers, self._body = method, query, headers, body

    async def read(self) -> bytes:
        return self._body


async def replay(
    trace: Step, *, first_schedule: str = "", drain_at: float = 0.0, looks_later: float = 0.0
) -> list[Step]:
    """Do what was done to the recorded host, at the same times, and return the steps of ours.

    ``first_schedule`` is the schedule of the first process, where the trace names the second one's; ``drain_at`` is
    the second at which drain mode was asked for, where the trace records its answer; ``looks_later`` delays looks
    into queues that were taken because the recorded host had just begun a run.
    """
    account = Account(time_of_day(trace), {queue: [] for queue in queues_at_start(trace)})
    processes = _Processes(account, trace, first_schedule)
    if drain_at:
        processes.tasks.add(asyncio.create_task(processes.drain(drain_at)))
    for step in stimuli(trace):
        late = looks_later if step["what"] == "look" else 0.0
        await asyncio.sleep(max(0.0, step["ms"] / 1000 + late - account.time()))
        await processes.do(step)
    await asyncio.sleep(LAST_SECONDS)
    return account.steps


class _Processes:
    """The processes of the host in one trace, one after the other."""

    def __init__(self, account: Account, trace: Step, first_schedule: str) -> None:
        self._account, self._trace, self._first_schedule = account, trace, first_schedule
        self._hosts: list[Host] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def do(self, step: Step) -> None:
        """Do what a step says to the host, or to its storage."""
        match step["what"]:
            case "start":
                schedule = "" if self._hosts else self._first_schedule
                self._hosts.append(Host(self._account, self._trace, schedule))
            case "sent SIGTERM":
                self.tasks.add(asyncio.create_task(self._hosts[-1].terminate()))
            case "sent SIGKILL":
                self._hosts[-1].kill()
            case "answer":
                await self._hosts[-1].answer(step["asked"])
            case _:
                _do_to_storage(self._account, self._trace, step)

    async def drain(self, seconds: float) -> None:
        """Ask for drain mode at a time, and record when it is answered."""
        await asyncio.sleep(seconds)
        await self._hosts[-1].triggers.drain()
        self._account.record(what="drain asked")


def _do_to_storage(account: Account, trace: Step, step: Step) -> None:
    match step["what"]:
        case "sent":
            account.add(step["queue"], step["text"] or base64(sent_text(trace, step["message"])))
        case "look":
            account.record(what="look", **account.look(step["queue"]))
        case "made visible":
            for message in account.queues["work"]:
                message.visible_at = account.time()
        case "storage silent":
            account.answers.clear()
        case "storage answers":
            account.answers.set()
        case "storage gone" | "storage back" as done:
            account.refuses = done == "storage gone"
        case other:
            raise AssertionError(other)


def stimuli(trace: Step) -> Iterator[Step]:
    """What was done to the recorded host; a process starts with its first request, or where it says so."""
    lives = False
    for step in trace["steps"]:
        what = step.get("what", "")
        if not lives and ("request" in step or what == "host started"):
            lives = True
            yield {"ms": step["ms"], "what": "start"}
        lives = lives and what != "host exited"
        if what and what not in OF_THE_HOST:
            yield step


def queues_at_start(trace: Step) -> set[str]:
    """The queues that existed: those that were there when first asked for, or got a message."""
    found: dict[str, bool] = {}
    for step in trace["steps"]:
        if step.get("request", "").endswith("?comp=metadata"):
            found.setdefault(step["request"].split("/")[1].split("?")[0], step["status"] == 200)
        elif step.get("what") == "sent":
            found.setdefault(step["queue"], True)
    return {queue for queue, exists in found.items() if exists}


def sent_text(trace: Step, message: str) -> str:
    """The text of a message, which the trace has where it was handled."""
    begins = (step for step in trace["steps"] if step.get("what") == "begin" and step.get("message") == message)
    return next((str(step["data"]) for step in begins), "late")


def time_of_day(trace: Step) -> datetime:
    """The time of day at the start of the trace, which it has in the statuses of its timer."""
    status_ms = next((step["ms"] for step in trace["steps"] if "/status" in step.get("request", "")), 0)
    on_startup = any(function.get("runOnStartup") for function in trace["functions"])
    for step in trace["steps"]:
        if step.get("what") != "begin" or not isinstance(step["data"], dict) or on_startup:
            continue
        status = step["data"]["ScheduleStatus"]
        if status is None:
            return NO_TIME - timedelta(milliseconds=step["ms"])
        if not step["data"]["IsPastDue"]:
            return datetime.fromisoformat(status["Next"]) - timedelta(milliseconds=step["ms"])
        if status["LastUpdated"] != NEVER:
            recorded = datetime.fromisoformat(status["LastUpdated"][:26] + "+00:00")
            return recorded - timedelta(milliseconds=status_ms)
    return NO_TIME


def names(trace: Step) -> list[str]:
    """The functions of a trace."""
    return [function["name"] for function in trace["functions"]]


def durations(trace: Step, function: str) -> Iterator[float]:
    """How long each run of a timer took."""
    begins = [step["ms"] for step in trace["steps"] if (step.get("what"), step.get("function")) == ("begin", function)]
    ends = [step["ms"] for step in trace["steps"] if (step.get("what"), step.get("function")) == ("end", function)]
    for begin, end in zip(begins, ends, strict=True):
        yield (end - begin) / 1000


def _sleep(payload: str) -> float:
    try:
        content = json.loads(payload)
    except ValueError:
        return 0.0
    return float(content.get("sleep", 0)) if isinstance(content, dict) else 0.0


async def _unused(_payload: str, _metadata: dict[str, Any]) -> None:
    raise AssertionError


def _function(described: Step, schedule: str) -> Function:
    return Function(
        name=described["name"],
        trigger=described["type"],
        argument="message",
        call=_unused,
        queue=described.get("queueName", ""),
        schedule=(schedule or described["schedule"]) if "schedule" in described else "",
        run_on_startup=described.get("runOnStartup", False),
    )
