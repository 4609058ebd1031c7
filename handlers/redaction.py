"""Secrets that this process has read never leave it: every text that goes out is looked through for their values."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

MIN_SECRET_CHARS = 8
"""Characters of a value that is looked for: a shorter one stands in too many words that are none of it."""
MAX_SECRETS = 500
"""Values that are remembered, the newest; a rotation adds one."""
HIDDEN = "***"

_known: dict[str, tuple[str, ...]] = {}


def register_secret(value: str) -> None:
    """Hide this value from now on."""
    if len(value) < MIN_SECRET_CHARS or value in _known:
        return
    _known[value] = _ways_to_write(value)
    if len(_known) > MAX_SECRETS:
        _known.pop(next(iter(_known)))


def redact(text: str) -> str:
    """The text without any secret; call it before a text is cut, since half a value is not found any more."""
    for ways in tuple(_known.values()):
        for written in ways:
            if written in text:
                text = text.replace(written, HIDDEN)
    return text


def redact_and_truncate(text: str, longest: int) -> str:
    """At most so many characters of a text, without secrets."""
    safe = redact(text)
    return safe if len(safe) <= longest else f"{safe[: longest - 1]}…"


def redact_fields(fields: Mapping[str, object], longest: int) -> dict[str, object]:
    """A line's texts as they may be shown; numbers and truth values stay what they are."""
    return {
        key: redact_and_truncate(str(value), longest) if _is_text(value) else value for key, value in fields.items()
    }


def _is_text(value: object) -> bool:
    return not isinstance(value, bool | int | float)


def _ways_to_write(value: str) -> tuple[str, ...]:
    """The value as it is, and as JSON, HTML, addresses and base64 write it; the longest first."""
    coded = b64encode(value.encode()).decode().rstrip("=")
    ways = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], escape(value), quote(value)}
    return tuple(sorted(ways | {coded}, key=len, reverse=True))


class RedactedErrors:
    """Around a function: an error whose words hold a secret leaves as one that does not, and without its causes.

    A traceback prints every error of the chain, and the worker sends it on; any other error passes as it is.
    """

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Look through the chain."""
        if error is not None and kind is not None and any(redact(told) != told for told in _chain(error)):
            raise HiddenError(f"{kind.__name__}: {redact(str(error))}") from None


class HiddenError(Exception):
    """What is left of an error whose words, or those of its causes, held a secret."""


def _chain(error: BaseException) -> list[str]:
    told, seen, rest = [], set(), [error]
    while rest:
        one = rest.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        told += [str(one), *getattr(one, "__notes__", ())]
        rest += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        rest += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return told
