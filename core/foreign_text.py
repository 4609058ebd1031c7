"""Words of others: decisions compare them as they came, and what is shown of them is safe by itself.

Foundry, a container or an agent may repeat a secret that only another instance has read. So a gateway returns their
words closed: as text they say that words are left out. Only the redactor opens them (handlers/redaction.py).
"""

from __future__ import annotations

LEFT_OUT = "*** (words left out: this process has not read the secrets that they may hold)"


class ForeignText(str):
    """A text of others. It equals what came; as text it is what may be shown of that."""

    __slots__ = ("_came",)
    _came: str

    def __new__(cls, came: str, shown: str = LEFT_OUT) -> ForeignText:
        """The text as it came, and what is shown of it."""
        text = super().__new__(cls, shown if came else "")
        text._came = as_came(came)
        return text

    def __eq__(self, other: object) -> bool:
        return self._came == (other._came if isinstance(other, ForeignText) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._came)

    def __contains__(self, part: object) -> bool:
        return isinstance(part, str) and as_came(part) in self._came

    def casefold(self) -> str:
        """The text as it came, to be compared without its case; never shown."""
        return self._came.casefold()


def as_came(text: str) -> str:
    """The text as it came, for a comparison or for the redactor; never shown."""
    return text._came if isinstance(text, ForeignText) else text
