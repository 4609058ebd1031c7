"""The JSON of the state store: a value is read back as it was written, or refused; unknown fields stay."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from handlers.gateways.errors import STORAGE, PermanentError

SCHEMA = 1

T = TypeVar("T")


class Codec(Generic[T]):
    """Between one kind of state and its blob."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def encode(self, value: T, stored: bytes = b"") -> bytes:
        """The value as indented JSON, for people too, with what ``stored`` holds beyond the fields that we know."""
        body = self._adapter.dump_python(value, mode="json")
        if stored:
            known = self._adapter.dump_python(self.decode(stored, "state"), mode="json")
            raw = json.loads(stored)
            body = {**raw, **_merge(body, known, raw)}
        return json.dumps({**body, "schema": SCHEMA}, indent=1, sort_keys=True).encode()

    def decode(self, data: bytes, blob: str) -> T:
        """The value; raises PermanentError with the code STATE_UNREADABLE, after which nothing overwrites the blob."""
        if not data:
            return self._kind()
        try:
            body = json.loads(data)
            schema = body.pop("schema")
            if schema == SCHEMA:
                return self._adapter.validate_python(body)
        except (ValueError, ValidationError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise PermanentError(STORAGE, "STATE_UNREADABLE", f"{blob} is not a state that Slipway wrote") from error
        if not isinstance(schema, int) or schema < SCHEMA:
            raise PermanentError(STORAGE, "STATE_UNREADABLE", f"{blob} has an unknown schema")
        todo = "deploy the newer Slipway again; nothing is overwritten"
        raise PermanentError(
            STORAGE, "STATE_UNREADABLE", f"{blob} has schema {schema}, this version reads {SCHEMA}: {todo}"
        )


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
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
