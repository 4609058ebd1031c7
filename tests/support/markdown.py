"""The fenced blocks of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import dedent

FENCE = re.compile(
    r"^ *(?:<!-- not run: (?P<why>[^\n]+) -->\n *)?```(?P<kind>\w*)(?: title=(?P<title>\S+))?\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Block:
    """A fenced block, as if it stood at the margin."""

    kind: str
    title: str
    """The name of the file that it is."""
    text: str
    why_not_run: str


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page."""
    return [
        Block(found["kind"], found["title"] or "", dedent(found["text"]), found["why"] or "")
        for found in FENCE.finditer(page)
    ]
