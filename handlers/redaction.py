"""Keeps secrets that this process has read out of every text that leaves it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

MIN_SECRET_CHARS = 8
"""A shorter value would be found in too many words that have nothing to do with it."""
MAX_SECRETS = 500
"""The newest that are remembered; each rotation adds one."""
HIDDEN = "***"

_secrets: dict[str, tuple[str, ...]] = {}


def register_secret(value: str) -> None:
    """Hide this value from now on."""
    if len(value) < MIN_SECRET_CHARS or value in _secrets:
        return
    _secrets[value] = _encodings(value)
    if len(_secrets) > MAX_SECRETS:
        _secrets.pop(next(iter(_secrets)))


def redact(text: str, more: Iterable[str] = ()) -> str:
    """The text without registered secrets and ``more`` values of any length; redact before you cut a text."""
    for encodings in (*map(_encodings, filter(None, more)), *_secrets.values()):
        for encoded in encodings:
            if encoded in text:
                text = text.replace(encoded, HIDDEN)
    return text


def redact_and_truncate(text: str, max_chars: int) -> str:
    """At most so many characters of a text, without secrets."""
    safe = redact(text)
    return safe if len(safe) <= max_chars else f"{safe[: max_chars - 1]}…"


def redact_fields(fields: Mapping[str, object], max_chars: int) -> dict[str, object]:
    """The fields with their values as short texts without secrets; numbers and booleans stay as they are."""
    return {
        name: value if isinstance(value, bool | int | float) else redact_and_truncate(str(value), max_chars)
        for name, value in fields.items()
    }


def _encodings(value: str) -> tuple[str, ...]:
    """The value as it is, and in JSON, HTML, URLs and base64; the longest first."""
    base64 = b64encode(value.encode()).decode().rstrip("=")
    in_json = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return tuple(sorted({value, *in_json, escape(value), quote(value), base64}, key=len, reverse=True))


class RedactedErrors:
    """A context that replaces an error whose text, or whose causes' texts, hold a secret; other errors pass.

    A traceback prints every error of the chain, and the worker exports it.
    """

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Raise HiddenError in place of an error that holds a secret."""
        if error is not None and kind is not None and any(redact(text) != text for text in _texts(error)):
            raise HiddenError(f"{kind.__name__}: {redact(str(error))}") from None


class HiddenError(Exception):
    """The type and redacted text of an error that held a secret."""


def _texts(error: BaseException) -> list[str]:
    """The texts and notes of an error and of every error behind it."""
    texts, seen, errors = [], set[int](), [error]
    while errors:
        current = errors.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        texts += [str(current), *getattr(current, "__notes__", ())]
        errors += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
        errors += current.exceptions if isinstance(current, BaseExceptionGroup) else ()
    return texts
