"""The JSON of the state store: a value is read back as it was written, or refused; unknown fields stay."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from handlers.gateways.errors import STORAGE, UNREADABLE_CONTENT, PermanentError

SCHEMA = 1
MAX_REMEMBERED = 96
"""States, of which a release reads each several times in a row: those of 64 releases at once, and some."""

T = TypeVar("T")


class Codec(Generic[T]):
    """Between one kind of state and its blob."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decoded = lru_cache(MAX_REMEMBERED)(self._decode)
        self._dumped = lru_cache(MAX_REMEMBERED)(self._dump_stored)

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        """Built at first use: of an event that only changes what is desired, the other is not needed."""
        return TypeAdapter(self._kind)

    def encode(self, value: T, stored: bytes = b"") -> bytes:
        """The value as indented JSON, for people too, with what ``stored`` holds beyond the fields that we know."""
        body = self._adapter.dump_python(value, mode="json")
        if stored:
            known, raw = self._dumped(stored)
            body = {**raw, **_merge(body, known, raw)}
        return json.dumps({**body, "schema": SCHEMA}, indent=1, sort_keys=True).encode()

    def decode(self, data: bytes, blob: str) -> T:
        """The value; raises PermanentError with the code STATE_UNREADABLE, after which nothing overwrites the blob."""
        if not data:
            return self._kind()
        try:
            return self._decoded(data)
        except _SchemaError as error:
            raise PermanentError(STORAGE, "STATE_UNREADABLE", f"{blob} has {error}") from error
        except UNREADABLE_CONTENT as error:
            raise PermanentError(STORAGE, "STATE_UNREADABLE", f"{blob} is not a state that Slipway wrote") from error

    def _decode(self, data: bytes) -> T:
        body = json.loads(data)
        schema = body.pop("schema")
        if schema == SCHEMA:
            return self._adapter.validate_python(body)
        if not isinstance(schema, int) or schema < SCHEMA:
            raise _SchemaError("an unknown schema")
        todo = "deploy the newer Slipway again; nothing is overwritten"
        raise _SchemaError(f"schema {schema}, this version reads {SCHEMA}: {todo}")

    def _dump_stored(self, stored: bytes) -> tuple[Any, Any]:
        """What we know of a stored state, and the whole of it; nobody changes either."""
        return self._adapter.dump_python(self.decode(stored, "state"), mode="json"), json.loads(stored)


class _SchemaError(Exception):
    """The message says which schema a state has."""


def _merge(new: Any, known: Any, raw: Any) -> Any:
    """``new``, but each part that is still as we read it (``known``) stays as it is stored (``raw``).

    A part that changed is another push, hold or pause: the unknown fields of the former one do not describe it.
    """
    if new == known:
        return raw
    if isinstance(new, dict) and isinstance(known, dict) and isinstance(raw, dict):
        return {name: _merge(field, known.get(name), raw.get(name, field)) for name, field in new.items()}
    if isinstance(new, list) and isinstance(known, list) and isinstance(raw, list):
        stored = [(element, old) for element, old in zip(known, raw, strict=False) if isinstance(element, dict)]
        return [next((old for element, old in stored if element == item), item) for item in new]
    return new


def read_text_value(data: bytes) -> str:
    """The value of a marker; what cannot be read counts as never written, and the next write replaces it."""
    try:
        return str(json.loads(data)["value"])
    except UNREADABLE_CONTENT:
        return ""
