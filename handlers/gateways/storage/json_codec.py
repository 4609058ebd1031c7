"""The ledger's records as JSON: what is written is read back as the same value, or not at all."""

from __future__ import annotations

import json
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from handlers.gateways.errors import STORAGE, PermanentError

SCHEMA = 1
"""A record of a newer schema is refused: what we do not understand must not be lost by writing it back."""

T = TypeVar("T")


class Codec(Generic[T]):
    """One kind of record."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def empty(self) -> T:
        """What stands for a record that was never written."""
        return self._kind()

    def encode(self, release: T) -> bytes:
        """The record as indented JSON: a person may have to read it."""
        body = {"schema": SCHEMA, **self._adapter.dump_python(release, mode="json")}
        return json.dumps(body, indent=1, sort_keys=True).encode()

    def decode(self, data: bytes, blob: str) -> T:
        """The record; raises PermanentError with the code STATE_UNREADABLE, which nobody overwrites."""
        if not data:
            return self.empty()
        try:
            body = json.loads(data)
            if body.pop("schema") != SCHEMA:
                raise PermanentError(STORAGE, "STATE_UNREADABLE", f"{blob} is of another schema than {SCHEMA}")
            return self._adapter.validate_python(body)
        except (ValueError, ValidationError, AttributeError, KeyError, TypeError) as error:
            raise PermanentError(STORAGE, "STATE_UNREADABLE", f"{blob} is no record of ours") from error


def text_in(data: bytes, key: str) -> str:
    """A small blob's only value; what cannot be read is as good as never written, and the next write mends it."""
    try:
        return str(json.loads(data)[key])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
