"""A message of the queue ``releases``."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReleaseMessage:
    """Which target's release is to continue, and which trace it belongs to."""

    target: str
    traceparent: str | None = None

    def to_json(self) -> str:
        """The message's text."""
        return json.dumps({"target": self.target, "traceparent": self.traceparent})

    @classmethod
    def from_json(cls, text: str) -> ReleaseMessage | None:
        """Read a message, whatever else it carries; None where it names no target."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(body, dict) or not isinstance(body.get("target"), str):
            return None
        traceparent = body.get("traceparent")
        return cls(body["target"], traceparent if isinstance(traceparent, str) else None)
