"""What the container of a failed version printed last, for people: never longer than is read, and without secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.foreign_text import LEFT_OUT, as_came
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Foundry
from handlers.masking.visible import visible
from handlers.redaction import redact

MAX_SECONDS = 2.0
MAX_LINES = 40
MAX_BYTES = 4_000


async def read_container_log(
    foundry: Foundry, agent: str, version: str, session: str, may_be_shown: Callable[[], Awaitable[bool]] | None
) -> str:
    """The last lines of a session; why there are none, where they cannot be read; empty where nothing was printed."""
    try:
        log = as_came(await foundry.session_log(agent, version, session, MAX_SECONDS))
    except GatewayError as error:
        return f"the log was not read: {error.code}"
    if not log or may_be_shown is None or await may_be_shown():
        return last_lines(log)
    return LEFT_OUT


def last_lines(log: str) -> str:
    """At most 40 lines and 4 kB, without secrets and control characters."""
    lines = [visible(line) for line in redact(log).splitlines() if line.strip()][-MAX_LINES:]
    return "\n".join(lines).encode("utf-8", "replace")[-MAX_BYTES:].decode("utf-8", "ignore")
