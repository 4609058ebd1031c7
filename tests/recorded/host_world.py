"""A storage account in memory, on the virtual clock, that keeps a record of requests in the form of the traces."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from local.functions_host.queue_storage import Message
from local.functions_host.storage_retry import StorageError
from local.functions_host.timer_rules import LEASE_SECONDS, Status

T = TypeVar("T")
Step = dict[str, Any]
LATENCY = 0.002
WEEK = 7 * 24 * 3600


@dataclass
class Stored:
    """A message in a queue."""

    id: str
    text: str
    visible_at: float
    dequeue_count: int = 0
    receipt: int = 0


@dataclass
class Account:
    """Queues, timers' statuses and leases, and every step in order of time."""

    start: datetime
    queues: dict[str, list[Stored]] = field(default_factory=dict)
    statuses: dict[str, Status] = field(default_factory=dict)
    leases: dict[str, tuple[object, float]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    refuses: bool = False
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    _messages: int = 0

    def __post_init__(self) -> None:
        self.answers.set()

    def time(self) -> float:
        """Seconds since the start of the trace."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """The time of day."""
        return self.start + timedelta(seconds=self.time())

    def record(self, **step: Any) -> None:
        """Add a step at this time."""
        self.steps.append({"ms": round(self.time() * 1000), **step})

    def add(self, queue: str, text: str) -> str:
        """Add a message; its name counts the messages, as in the traces."""
        self._messages += 1
        self.queues[queue].append(Stored(f"m{self._messages}", text, self.time()))
        return f"m{self._messages}"

    def visible(self, queue: str) -> list[Stored]:
        """The messages that a client would get, in the order in which they became visible."""
        found = [message for message in self.queues[queue] if message.visible_at <= self.time()]
        return sorted(found, key=lambda message: message.visible_at)

    def look(self, queue: str) -> Step:
        """What is in a queue."""
        if queue not in self.queues:
            return {"queue": queue, "exists": False, "visible": [], "count": 0}
        visible = [{"text": message.text, "dequeueCount": message.dequeue_count} for message in self.visible(queue)]
        return {"queue": queue, "exists": True, "visible": visible, "count": len(self.queues[queue])}


class Life:
    """Whether a host's process lives; a dead one sends nothing more."""

    def __init__(self) -> None:
        self.is_over = False


class MemoryQueue:
    """A queue of the account, as one process of the host uses it; see the Queue protocol."""

    def __init__(self, account: Account, life: Life, name: str) -> None:
        self.name = name
        self._account, self._life = account, life

    async def exists(self) -> bool:
        try:
            return await self._request(f"GET /{self.name}?comp=metadata", lambda: (200, True))
        except StorageError as error:
            if error.status == 404:
                return False
            raise

    async def receive(self, limit: int, hidden_seconds: int) -> list[Message]:
        def received() -> tuple[int, list[Message]]:
            found = self._account.visible(self.name)[:limit]
            for message in found:
                message.dequeue_count += 1
                self._hide(message, hidden_seconds)
            return 200, [self._message(message) for message in found]

        line = f"GET /{self.name}/messages?numofmessages={limit}&visibilitytimeout={hidden_seconds}"
        return await self._request(line, received)

    async def delete(self, message: Message) -> None:
        def deleted() -> tuple[int, None]:
            self._account.queues[self.name].remove(self._held(message))
            return 204, None

        await self._request(f"DELETE /{self.name}/messages/{message.id}?popreceipt=R", deleted)

    async def hide(self, message: Message, hidden_seconds: int) -> str:
        def hidden() -> tuple[int, str]:
            held = self._held(message)
            self._hide(held, hidden_seconds)
            return 204, str(held.receipt)

        line = f"PUT /{self.name}/messages/{message.id}?popreceipt=R&visibilitytimeout={hidden_seconds}"
        return await self._request(line, hidden)

    async def add(self, text: str) -> None:
        await self._request(f"POST /{self.name}/messages", lambda: (201, self._account.add(self.name, text)))

    async def create(self) -> None:
        await self._request(f"PUT /{self.name}", lambda: (201, None), needs_queue=False)
        self._account.queues.setdefault(self.name, [])

    async def _request(self, line: str, act: Callable[[], tuple[int, T]], *, needs_queue: bool = True) -> T:
        """Send a request, unless the process is dead or storage does not answer."""
        await asyncio.sleep(LATENCY)
        await self._account.answers.wait()
        if self._life.is_over:
            raise asyncio.CancelledError
        if self._account.refuses:
            raise StorageError(0, "refused")
        if needs_queue and self.name not in self._account.queues:
            self._account.record(request=line, status=404)
            raise StorageError(404, "QueueNotFound")
        status, result = act()
        self._account.record(request=line, status=status)
        return result

    def _hide(self, message: Stored, seconds: float) -> None:
        message.visible_at = self._account.time() + seconds
        message.receipt += 1

    def _held(self, message: Message) -> Stored:
        held = next((item for item in self._account.queues[self.name] if item.id == message.id), None)
        if held is None:
            raise StorageError(404, "MessageNotFound")
        if str(held.receipt) != message.receipt:
            raise StorageError(400, "PopReceiptMismatch")
        return held

    def _message(self, message: Stored) -> Message:
        now = self._account.now()
        return Message(
            message.id,
            message.text,
            str(message.receipt),
            message.dequeue_count,
            now,
            now + timedelta(seconds=WEEK),
            now,
        )


class MemoryTimers:
    """The timers' statuses and leases, as one process of the host uses them; see the TimerStore protocol."""

    def __init__(self, account: Account, life: Life) -> None:
        self._account, self._life = account, life

    def read(self, name: str) -> Status | None:
        return self._account.statuses.get(name)

    def write(self, name: str, status: Status) -> None:
        if not self._life.is_over:
            self._account.statuses[name] = status
            self._account.record(request=f"PUT /azure-webjobs-hosts/timers/HOST/Functions.{name}/status", status=201)

    def acquire(self, name: str) -> bool:
        owner, until = self._account.leases.get(name, (None, 0.0))
        if self._life.is_over or (owner is not self._life and self._account.time() < until):
            return False
        self._account.leases[name] = (self._life, self._account.time() + LEASE_SECONDS)
        self._record_lease(name, 200 if owner is self._life else 201)
        return True

    def release(self, name: str) -> None:
        if not self._life.is_over:
            self._account.leases.pop(name)
            self._record_lease(name, 200)

    def _record_lease(self, name: str, status: int) -> None:
        line = f"PUT /azure-webjobs-hosts/locks/HOST/Functions.{name}.Listener?comp=lease"
        self._account.record(request=line, status=status)


def base64(text: str) -> str:
    """The text of a message as clients send it."""
    return b64encode(text.encode()).decode()
