"""What can go wrong around a gateway call: a crash before or after it, a lost answer, a refusal, a delay."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from handlers.gateways import TransientError


class Crash(BaseException):
    """The process died; nothing that was held in memory is left."""


class Dice:
    """Seeded chance; ``still`` makes the world behave, for the quiet end of a history."""

    def __init__(self, seed: int, *, harsh: float) -> None:
        self.random = Random(seed)
        self.harsh = harsh
        self.still = False

    def falls(self, chance: float) -> bool:
        return not self.still and self.random.random() < chance * self.harsh


class Faulty:
    """A gateway whose calls meet chance; everything else is the gateway itself."""

    def __init__(self, target: object, service: str, dice: Dice, tell: Callable[[str], None] | None = None) -> None:
        self._target = target
        self._service = service
        self._dice = dice
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method) or name == "give_back":
            return method
        return self._wrapped(method)

    def _wrapped(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                await self._before()
                answer = await method(*args, **kwargs)
                await self._after()
            except BaseException as error:
                if self._tell is not None:
                    self._tell(f"{self._service}.{method.__name__}{args}: {type(error).__name__} {error}")
                raise
            if self._tell is not None:
                self._tell(f"{self._service}.{method.__name__}{args} → {answer}")
            return answer

        return call

    async def _before(self) -> None:
        await asyncio.sleep(self._dice.random.random() * 0.2)
        if self._dice.falls(0.02):
            raise Crash
        if self._dice.falls(0.03):
            raise TransientError(self._service, "429", "too many requests", retry_after=1.0)

    async def _after(self) -> None:
        if self._dice.falls(0.02):
            raise Crash
        if self._dice.falls(0.03):
            raise TransientError(self._service, "timeout", "no answer", unclear=True)
        if self._dice.falls(0.01):
            await asyncio.sleep(90)  # frozen: longer than the lease
