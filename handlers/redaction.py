"""Keeps secrets that this process has read, and characters that act on a screen, out of every text that leaves it.

Decisions are made on what came: ``redact``, and what is built on it, stands where a text goes out and nowhere before.
Words of others (core/foreign_text.py) are shown only once the secrets that they may hold were read: see ``opened``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar, cast

from core.foreign_text import LEFT_OUT, ForeignText, as_came
from core.model import Answer, Failure
from core.reasons import Reason
from core.service_codes import is_public
from handlers.masking.finder import Finder, Span, find_few
from handlers.masking.parts import MIN_CHARS, parts_of
from handlers.masking.spellings import encoded_twice, readings, spellings_of
from handlers.masking.visible import visible, visible_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

MAX_SECRETS = 500
"""The newest that are remembered; each rotation adds one, and each read makes its value the newest."""
HIDDEN = "***"
MAX_CODE_CHARS = 100
"""Of an error code or a version number in an answer."""
MAX_FOREIGN_CHARS = 300
"""Of a service's own message."""
MAX_PASSES = 4
"""What stands on both sides of a masked value may, read together, be another one."""
WORD = re.compile(r"[a-z]+([._-][a-z]+)*")
HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
IMAGE = r"[\w.-]+(?::\d+)?/[\w./-]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?"
OWN_FORMS = {
    "at": re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)"),
    "reason": re.compile("|".join(Reason)),
    **dict.fromkeys(("severity", "step", "cause", "outcome", "status", "queue"), WORD),
    "images": re.compile(f"{IMAGE}( {IMAGE})*"),
    **dict.fromkeys(("digest", "fingerprint", "message_sha256"), HASH),
}
"""Fields whose words are ours, with the form that these have: queries, alerts and commands compare them, unmasked."""

_names: set[str] = set()
"""Agents of agents.yaml: compared as well, in the field ``agent``."""
_secrets: dict[str, frozenset[str]] = {}
"""Value -> what to find of it."""
_values: dict[str, str] = {}
"""``name@version`` of a secret that was read -> its value; of the newest reads."""
_finder = Finder()


def keep_names(names: Iterable[str]) -> None:
    """Do not mask these agents, whatever a secret is called: they are names of agents.yaml."""
    _names.update(names)


def register_secret(value: str, secret_id: str = "") -> None:
    """Hide this value and its parts from now on; ``secret_id`` names the secret and the version that has it."""
    if secret_id:
        _values.pop(secret_id, None)
        _values[secret_id] = value
        if len(_values) > MAX_SECRETS:
            del _values[next(iter(_values))]
    if not _can_be_hidden(value):
        return
    known = _secrets.pop(value, None)
    if known is None:
        known = spellings_of((value, *parts_of(value)), MIN_CHARS) | encoded_twice(value, MIN_CHARS)
        _finder.add(known)
    _secrets[value] = known
    if len(_secrets) > MAX_SECRETS:
        _finder.remove(_secrets.pop(next(iter(_secrets))))


def is_registered(secret_id: str) -> bool:
    """True for a secret that this process has read, and whose value is hidden as far as it can be."""
    value = _values.get(secret_id)
    return value is not None and (value in _secrets or not _can_be_hidden(value))


def redact(text: str, more: Iterable[str] = ()) -> str:
    """The text without registered secrets and ``more`` values of any length; redact before you cut a text."""
    few = [value for value in more if value not in _secrets and not set(value) <= {"*"}]
    extra = sorted(spellings_of(few, 1)) if few else []
    if not extra and (not _secrets or len(text) < MIN_CHARS):
        return text
    for _ in range(MAX_PASSES):
        spans = sorted(_spans(text, extra))
        if not spans:
            break
        text = _masked(text, spans)
    return text


def redact_and_truncate(text: str, max_chars: int) -> str:
    """At most so many characters of a text in one line, without secrets and without control characters."""
    return visible_line(redact(text), max_chars)


def redact_text(name: str, text: str, max_chars: int) -> str:
    """The text of a named field; our own words and hashes stay whole, so that they can be compared afterwards."""
    return text if _is_own(name, text) else redact_and_truncate(text, max_chars)


def redact_fields(fields: Mapping[str, object], max_chars: int) -> dict[str, object]:
    """The fields with their values as short texts without secrets; numbers and booleans stay as they are."""
    return {
        name: value if isinstance(value, bool | int | float) else redact_text(name, str(value), max_chars)
        for name, value in fields.items()
    }


def redact_data(data: object, name: str = "") -> object:
    """JSON data with the texts in it redacted by the names of their fields; its structure and keys stay."""
    if isinstance(data, Mapping):
        return {key: redact_data(value, str(key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [redact_data(item, name) for item in data]
    return redact(data) if isinstance(data, str) and not _is_own(name, data) else data


class ServiceCode(ForeignText):
    """A code or number that a service or an agent answered: compared as it came, shown only where everybody knows it.

    A secret may be called like a code, and what follows from the code must not depend on that.
    """

    __slots__ = ()

    def __new__(cls, code: str) -> ServiceCode:
        """The code as it is shown, which remembers how it came."""
        came = as_came(code)
        shown = redact_and_truncate(came, MAX_CODE_CHARS) if is_public(came) else HIDDEN
        return cast("ServiceCode", super().__new__(cls, came, shown))


def opened(text: str, max_chars: int = MAX_FOREIGN_CHARS) -> ForeignText:
    """Words of others without secrets, to be shown: only where the secrets that they may hold have been read."""
    came = as_came(text)
    return ForeignText(came, redact_and_truncate(came, max_chars))


def foreign_failure(code: str, message: str) -> Failure:
    """Why a version failed, in words of others."""
    return Failure(ServiceCode(code), ForeignText(message))


def foreign_answer(answer: Answer) -> Answer:
    """An answer as a gateway returns it: what the agent or the service said is words of others."""
    return replace(
        answer,
        text=ForeignText(answer.text),
        message=ForeignText(answer.message),
        code=ServiceCode(answer.code),
        version=ServiceCode(answer.version) if answer.version is not None else None,
        request_id=ServiceCode(answer.request_id),
        response_status=ServiceCode(answer.response_status),
        incomplete_reason=ServiceCode(answer.incomplete_reason),
    )


def open_words(record: T) -> T:
    """A failure or an answer with the words of others in it opened."""
    closed = {item.name: getattr(record, item.name) for item in fields(record)}
    return replace(record, **{name: opened(text) for name, text in closed.items() if isinstance(text, ForeignText)})


class RedactedErrors:
    """A context that replaces an error whose text, or whose causes' texts, hold a secret; other errors pass.

    A traceback prints every error of the chain, and the worker exports it. Control characters count as a secret does,
    and so do words of others, which the cause of a gateway's error holds.
    """

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Raise HiddenError in place of an error that holds a secret."""
        if error is None or kind is None:
            return
        if any(_safe(text) != text or LEFT_OUT in text for text in _texts(error)):
            raise HiddenError(f"{kind.__name__}: {_safe(str(error))}") from None


class HiddenError(Exception):
    """The type and redacted text of an error that held a secret."""


def _can_be_hidden(value: str) -> bool:
    return len(value.strip()) >= MIN_CHARS and not set(value) <= {"*"}


def _is_own(name: str, text: str) -> bool:
    """True for our own words, for agents and for hashes; not for a hash that is a secret as a whole."""
    if name == "agent":
        return text in _names
    match = OWN_FORMS[name].fullmatch(text) if name in OWN_FORMS else None
    return match is not None and (match.re is not HASH or match[1] not in _secrets)


def _safe(text: str) -> str:
    return visible(redact(text), keep="\n\t")


def _spans(text: str, extra: list[str]) -> Iterator[Span]:
    for reading in readings(text):
        for span in (*_finder.spans(reading.text), *find_few(reading.text, extra)):
            yield reading.source(*span)


def _masked(text: str, spans: list[Span]) -> str:
    parts, done = list[str](), 0
    for start, end in spans:
        if start > done or not parts:
            parts += [text[done:start], HIDDEN]
        done = max(done, end)
    return "".join([*parts, text[done:]])


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
