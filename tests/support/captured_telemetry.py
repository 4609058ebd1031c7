"""What the product tells while a test listens: its decisions, and every other word that is logged."""

from __future__ import annotations

import logging
from typing import Any

from core.reasons import Reason

PREFIX = "slipway."


class Ears(logging.Handler):
    """Hears every logger from ``with`` on."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[logging.LogRecord] = []

    def emit(self, release: logging.LogRecord) -> None:
        self._heard.append(release)

    def __enter__(self) -> Ears:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def forget(self) -> None:
        self._heard.clear()

    def lines(self) -> list[dict[str, Any]]:
        """Decisions in order; one that is repeated because the journal did not take it counts once."""
        told = [one for one in self._heard if one.msg == "slipway.decision"]
        lines = [{k.removeprefix(PREFIX): v for k, v in vars(one).items() if k.startswith(PREFIX)} for one in told]
        return [line for line in lines if "journal" not in line and line["reason"] in Reason.__members__]

    def reasons(self) -> list[str]:
        return [str(line["reason"]) for line in self.lines()]

    def alarming(self) -> list[dict[str, Any]]:
        """The decisions that want a look."""
        return [line for line in self.lines() if Reason[line["reason"]].severity != "info"]

    def text(self) -> str:
        formatter = logging.Formatter()
        return "\n".join(f"{vars(one)} {formatter.format(one)}" for one in self._heard)
