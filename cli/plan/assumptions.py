"""What a plan takes for granted."""

from __future__ import annotations


class Assumptions:
    """Sentences, each once, in the order in which they were needed."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """List an assumption."""
        self._sentences[sentence] = None

    @property
    def sentences(self) -> list[str]:
        """Every assumption."""
        return list(self._sentences)
