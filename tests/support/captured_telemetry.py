"""The decisions that the product logs during a test, and all other log records."""

from __future__ import annotations

import logging
from typing import Any

from core.reasons import Reason

PREFIX = "slipway."


class CapturedTelemetry(logging.Handler):
    """Captures the records of every logger inside ``with``."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def __enter__(self) -> CapturedTelemetry:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def clear(self) -> None:
        self._records.clear()

    def decisions(self) -> list[dict[str, Any]]:
        """Decisions in order, without those that are repeated because the journal did not accept them."""
        records = [record for record in self._records if record.msg == "slipway.decision"]
        decisions = [
            {name.removeprefix(PREFIX): value for name, value in vars(record).items() if name.startswith(PREFIX)}
            for record in records
        ]
        return [decision for decision in decisions if "journal" not in decision and _is_reason(decision["reason"])]

    def reasons(self) -> list[str]:
        return [str(decision["reason"]) for decision in self.decisions()]

    def problems(self) -> list[dict[str, Any]]:
        """The decisions that are warnings or errors."""
        return [decision for decision in self.decisions() if Reason[decision["reason"]].severity != "info"]

    def text(self) -> str:
        formatter = logging.Formatter()
        return "\n".join(f"{vars(record)} {formatter.format(record)}" for record in self._records)


def _is_reason(name: object) -> bool:
    return name in Reason.__members__
