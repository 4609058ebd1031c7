"""What can go wrong around a gateway call: a crash before or after it, a lost or a late answer, a refusal, a freeze."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from handlers.gateways.errors import TransientError

Tell = Callable[[str], None]
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
ANY = sum(chance for chance, _ in FAULTS)
LATEST = 30.0
"""Seconds after which an act whose answer was lost has taken effect, or never will."""
FROZEN = 90.0
"""Seconds that a frozen process misses: longer than a lease."""


class Crash(BaseException):
    """The process died; nothing that was held in memory is left."""


@dataclass(eq=False)
class Process:
    """One run of a handler; when it has crashed, nothing that it still asks for is sent."""

    name: str
    dead: bool = False
    looked_at: float = -1e9
    """When it last asked where the traffic goes."""


PROCESS: ContextVar[Process] = ContextVar("process", default=Process("nobody"))  # noqa: B039 - only read


class Dice:
    """Seeded chance; ``still`` makes the world behave, for the quiet end of a history."""

    def __init__(self, seed: int, *, harsh: float) -> None:
        self.random = Random(seed)
        self.harsh = harsh
        self.still = False

    def fault(self) -> Fault | None:
        """What goes wrong with a call, or nothing."""
        if self.still:
            return None
        drawn = self.random.random()
        if drawn >= ANY * self.harsh:
            return None
        drawn /= self.harsh
        for chance, fault in FAULTS:
            if drawn < chance:
                return fault
            drawn -= chance
        return None


class Faulty:
    """A gateway whose calls meet chance; everything else is the gateway itself."""

    def __init__(self, target: object, service: str, dice: Dice, tell: Tell | None) -> None:
        self._target = target
        self._service = service
        self._dice = dice
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            return method
        call = self._give_back(method) if name == "release" else self._call(method)
        setattr(self, name, call)  # asked for many times
        return call

    def _call(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            return await self._meet(self._dice.fault(), lambda: method(*args))

        async def told(*args: Any, **kwargs: Any) -> Any:
            fault, process = self._dice.fault(), PROCESS.get()
            what = f"{process.name}: {self._service}.{getattr(method, '__name__', '?')}{args}"
            try:
                answer = await self._meet(fault, lambda: method(*args, **kwargs))
            except (Exception, Crash) as error:
                self._say(f"{what}: {fault or 'refused'}: {type(error).__name__} {error}")
                raise
            self._say(f"{what} → {answer}" + (f" ({fault})" if fault else ""))
            return answer

        async def quick(*args: Any, **kwargs: Any) -> Any:
            return await self._meet(self._dice.fault(), lambda: method(*args, **kwargs))

        return told if self._tell else quick

    async def _meet(self, fault: Fault | None, act: Callable[[], Awaitable[Any]]) -> Any:
        process = PROCESS.get()
        if fault == "frozen" and self._service == "Foundry":
            fault = "frozen after"  # an act that is sent has its timeouts (design §6): it does not begin 90 s later
        await asyncio.sleep(self._dice.random.random() * 0.2)
        if fault in ("crash", "429", "lost request", "late", "frozen"):
            await self._before(fault, process, act)
        if process.dead:
            raise Crash
        answer = await act()
        if fault in ("crash after", "lost answer", "frozen after"):
            await self._after(fault, process)
        if process.dead:
            raise Crash
        return answer

    async def _before(self, fault: Fault, process: Process, act: Callable[[], Awaitable[Any]]) -> None:
        if fault == "frozen":
            await asyncio.sleep(FROZEN)
            return
        if fault == "crash":
            process.dead = True
        if process.dead:
            raise Crash
        if fault == "429":
            raise TransientError(self._service, "429", "too many requests", retry_after=1.0)
        if fault == "late":
            self._later(act)
        await asyncio.sleep(self._dice.random.choice([0.1, LATEST]))
        raise TransientError(self._service, "timeout", "no answer", unclear=True)

    async def _after(self, fault: Fault, process: Process) -> None:
        if fault == "frozen after":
            await asyncio.sleep(FROZEN)
            return
        if fault == "crash after":
            process.dead = True
            raise Crash
        code = self._dice.random.choice(["500", "timeout"])
        raise TransientError(self._service, code, "no answer", unclear=True)

    def _later(self, act: Callable[[], Awaitable[Any]]) -> None:
        """The request was taken, and takes effect when nobody waits for its answer any more."""
        delay = self._dice.random.random() * LATEST

        async def effect() -> None:
            await asyncio.sleep(delay)
            try:
                await act()
            except Exception as error:  # noqa: BLE001 - the service's own affair; a broken invariant is kept elsewhere
                self._say(f"late: {error}")

        task = asyncio.ensure_future(effect())
        LATE.add(task)
        task.add_done_callback(LATE.discard)

    def _give_back(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def give_back() -> None:
            """Never raises; what is lost on the way leaves the lease to end by itself."""
            if not PROCESS.get().dead and self._dice.fault() is None:
                await method()

        return give_back

    def _say(self, line: str) -> None:
        if self._tell is not None:
            self._tell(line)


LATE: set[asyncio.Future[None]] = set()
"""What is still on its way."""
