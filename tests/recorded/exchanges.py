"""The exchanges with Azure that were recorded: files beside the checkout; the project carries none of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

FOLDER = Path(__file__).parents[3] / "shared" / "recorded"
needs_recordings = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"there are no recordings in {FOLDER}")


@dataclass(frozen=True)
class Exchange:
    """A request that was sent to Azure, and its answer."""

    name: str
    request: Json
    response: Json

    @property
    def number(self) -> str:
        """What tables and the page call it: the digits that its name begins with."""
        return self.name.partition("_")[0]


def exchanges() -> list[Exchange]:
    """Every recorded exchange, by number; none where the folder is missing."""
    files = [(path.stem, json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]
    return [Exchange(name, found["request"], found["response"]) for name, found in files]


def exchange(number: str) -> Exchange:
    """The exchange with this number."""
    (found,) = [found for found in exchanges() if found.number == number]
    return found
