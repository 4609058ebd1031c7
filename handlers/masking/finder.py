"""Finds any of many thousand texts in one text, in a time that does not grow with their number.

The first short pieces of each text stand in a table. Every fourth piece of the text that is searched is looked up
there; only where one is found is the sorted list of all texts searched. A regular expression of 500 secrets of 1 kB,
in all spellings, takes minutes to compile and tries every alternative at every character.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator
from os.path import commonprefix

from handlers.masking.parts import MIN_CHARS

PIECE, STEP = 5, 4
"""Every occurrence of a text of 8 characters holds a whole piece of 5 that begins at a multiple of 4."""
CUT_MARK = re.compile(r"(?:…|\.\.\.|[\"'`)\]}>\s,;.])*\Z")
ELLIPSIS = re.compile(r"…|\.\.\.|\*\*\*|\[truncated")
"""Where a text was cut, and goes on."""
MAX_MARK_CHARS = 16
NAME = re.compile(r"(?=.{1,32}\Z)[a-z]+(?:[._/-]?(?:[a-z]+|\d{1,4}))*")

Span = tuple[int, int]


class Finder:
    """The texts to find; each has at least 8 characters."""

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._owners: Counter[str] = Counter()
        self._pieces: Counter[str] = Counter()
        self._heads: Counter[str] = Counter()
        self._longest = 0

    def add(self, texts: Iterable[str]) -> None:
        """Find these too; a text that is added twice is removed by the second removal."""
        for text in texts:
            self._owners[text] += 1
            if self._owners[text] == 1:
                insort(self._sorted, text)
                self._pieces.update(_pieces(text))
                self._heads[text[:MIN_CHARS]] += 1
                self._longest = max(self._longest, len(text))

    def remove(self, texts: Iterable[str]) -> None:
        """Do not find these any more."""
        for text in texts:
            self._owners[text] -= 1
            if not self._owners[text]:
                del self._owners[text], self._sorted[bisect_left(self._sorted, text)]
                for counter, keys in ((self._pieces, _pieces(text)), (self._heads, [text[:MIN_CHARS]])):
                    counter.subtract(keys)
                    for key in keys:
                        if not counter[key]:
                            del counter[key]

    def spans(self, text: str) -> Iterator[Span]:
        """Where a text stands; also what an ellipsis or the end of the searched one left of a text, from 8 on."""
        pieces, heads = self._pieces, self._heads
        middles = [at for at in range(0, len(text) - PIECE + 1, STEP) if text[at : at + PIECE] in pieces]
        starts = (start for middle in middles for start in range(max(0, middle - STEP + 1), middle + 1))
        for start in starts:
            if text[start : start + MIN_CHARS] in heads:
                length = self._longest_at(text, start)
                if length:
                    yield start, start + length
                else:
                    yield from self._cut_off(text, start)

    def _longest_at(self, text: str, start: int) -> int:
        """The length of the longest text that stands there; 0 for none."""
        rest = text[start : start + self._longest]
        while len(rest) >= MIN_CHARS:
            index = bisect_right(self._sorted, rest) - 1
            nearest = self._sorted[index] if index >= 0 else ""
            if rest.startswith(nearest):
                return len(nearest)
            rest = commonprefix((nearest, rest))  # noqa: RUF071 - of texts, not of paths
        return 0

    def _cut_off(self, text: str, start: int) -> Iterator[Span]:
        """The beginning of a text that a service cut before it was redacted; a whole tag or name is not cut."""
        end_mark = CUT_MARK.search(text, max(0, len(text) - MAX_MARK_CHARS))
        cut_mark = ELLIPSIS.search(text, start, start + self._longest + MAX_MARK_CHARS)
        ends = {len(text), *(mark.start() for mark in (end_mark, cut_mark) if mark)}
        for end in (end for end in ends if end - start <= self._longest):
            if end - start >= MIN_CHARS and self._begins(text[start:end]) and not NAME.fullmatch(text):
                yield start, end

    def _begins(self, beginning: str) -> bool:
        index = bisect_left(self._sorted, beginning)
        return index < len(self._sorted) and self._sorted[index].startswith(beginning)


def find_few(text: str, texts: Iterable[str]) -> Iterator[Span]:
    """Where one of a few texts of any length stands."""
    for wanted in texts:
        start = text.find(wanted)
        while start >= 0:
            yield start, start + len(wanted)
            start = text.find(wanted, start + 1)


def _pieces(text: str) -> list[str]:
    return [text[offset : offset + PIECE] for offset in range(STEP)]
