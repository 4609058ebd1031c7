"""Faults of a gateway call: a crash before or after it, a lost or a late answer, a refusal, a freeze."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from handlers.gateways.errors import TransientError

Log = Callable[[str], None]
Call = Callable[..., Awaitable[Any]]
Fault = Literal["crash", "429", "lost request", "crash after", "lost answer", "late", "frozen", "frozen after"]
FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.015, "crash"),
    (0.025, "429"),
    (0.010, "lost request"),
    (0.015, "crash after"),
    (0.020, "lost answer"),
    (0.015, "late"),
    (0.004, "frozen"),
    (0.004, "frozen after"),
)
"""Each fault with its probability."""
ANY_FAULT = sum(probability for probability, _ in FAULTS)
MAX_DELAY = 30.0
"""Seconds after which a call without an answer has taken effect, or never will."""
FREEZE = 90.0
"""Seconds that a frozen process misses: longer than a lease."""


class Crash(BaseException):
    """The process ended and lost what it held in memory."""


@dataclass(eq=False)
class Process:
    """One run of a handler; after its crash it sends nothing more."""

    name: str
    dead: bool = False
    lost_release: bool = False
    """Its lease was not released: messages that come until the lease has ended find it taken."""
    has_stood_still: bool = False
    """Others may have taken the message that it sent, before it ends."""
    routing_read_at: float = -1e9
    """When it last read where the traffic goes."""


PROCESS: ContextVar[Process] = ContextVar("process", default=Process("nobody"))  # noqa: B039 - only read


class Dice:
    """Seeded randomness; ``calm`` stops the faults, for the end of a history."""

    def __init__(self, seed: int, *, harsh: float) -> None:
        self.random = Random(seed)
        self.harsh = harsh
        self.calm = False
        self.calls = 0
        """How many calls may have met a fault."""

    def fault(self) -> Fault | None:
        """Draw the fault of a call, or none."""
        self.calls += 1
        if self.calm:
            return None
        drawn = self.random.random()
        if drawn >= ANY_FAULT * self.harsh:
            return None
        drawn /= self.harsh
        for probability, fault in FAULTS:
            if drawn < probability:
                return fault
            drawn -= probability
        return None


class FaultyGateway:
    """A gateway whose calls may meet a fault."""

    def __init__(self, target: object, service: str, dice: Dice, log: Log | None) -> None:
        self._target = target
        self._service = service
        self._dice = dice
        self._log = log

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            return method
        call = self._release_lease(method) if name == "release" else self._call(method)
        setattr(self, name, call)  # used often
        return call

    def _call(self, method: Call) -> Call:
        async def logged(*args: Any, **kwargs: Any) -> Any:
            fault, process = self._dice.fault(), PROCESS.get()
            call = f"{process.name}: {self._service}.{getattr(method, '__name__', '?')}{args}"
            try:
                answer = await self._run(fault, lambda: method(*args, **kwargs))
            except (Exception, Crash) as error:
                self._write(f"{call}: {fault or 'refused'}: {type(error).__name__} {error}")
                raise
            self._write(f"{call} → {answer}" + (f" ({fault})" if fault else ""))
            return answer

        async def unlogged(*args: Any, **kwargs: Any) -> Any:
            return await self._run(self._dice.fault(), lambda: method(*args, **kwargs))

        return logged if self._log else unlogged

    async def _run(self, fault: Fault | None, call: Call) -> Any:
        process = PROCESS.get()
        if fault == "frozen" and self._service == "Foundry":
            fault = "frozen after"  # a write to Foundry has timeouts: it is not sent 90 s later
        await asyncio.sleep(self._dice.random.random() * 0.2)
        if fault in ("crash", "429", "lost request", "late", "frozen"):
            await self._fail_before(fault, process, call)
        if process.dead:
            raise Crash
        answer = await call()
        if fault in ("crash after", "lost answer", "frozen after"):
            await self._fail_after(fault, process)
        if process.dead:
            raise Crash
        return answer

    async def _fail_before(self, fault: Fault, process: Process, call: Call) -> None:
        if fault == "frozen":
            await _stand_still(process)
            return
        if fault == "crash":
            process.dead = True
        if process.dead:
            raise Crash
        if fault == "429":
            raise TransientError(self._service, "429", "too many requests", retry_after=1.0)
        if fault == "late":
            self._call_later(call)
        await asyncio.sleep(self._dice.random.choice([0.1, MAX_DELAY]))
        raise TransientError(self._service, "timeout", "no answer", unclear=True)

    async def _fail_after(self, fault: Fault, process: Process) -> None:
        if fault == "frozen after":
            await _stand_still(process)
            return
        if fault == "crash after":
            process.dead = True
            raise Crash
        code = self._dice.random.choice(["500", "timeout"])
        raise TransientError(self._service, code, "no answer", unclear=True)

    def _call_later(self, call: Call) -> None:
        """The request takes effect after its caller has given up."""
        delay = self._dice.random.random() * MAX_DELAY

        async def take_effect() -> None:
            await asyncio.sleep(delay)
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - nobody waits for it; the oracle keeps violations
                self._write(f"late: {error}")

        task = asyncio.ensure_future(take_effect())
        LATE_CALLS.add(task)
        task.add_done_callback(LATE_CALLS.discard)

    def _release_lease(self, method: Call) -> Call:
        async def release() -> None:
            """Never raises; after a fault the lease ends by itself."""
            if not PROCESS.get().dead and self._dice.fault() is None:
                await method()
            else:
                PROCESS.get().lost_release = True

        return release

    def _write(self, line: str) -> None:
        if self._log is not None:
            self._log(line)


async def _stand_still(process: Process) -> None:
    process.has_stood_still = True
    await asyncio.sleep(FREEZE)


LATE_CALLS: set[asyncio.Future[None]] = set()
"""Calls that have not taken effect yet."""
