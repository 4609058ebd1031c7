"""``python local/plain_pins.py LOCK…``: pin each package that a lock names with an extra without the extra too.

uv writes ``pydantic[email]==…`` alone. With ``--require-hashes`` pip 23 and 24, which Python 3.11 to 3.13 bring, then
refuse the plain ``pydantic`` that another package needs, as not pinned.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

WITH_EXTRA = re.compile(
    r"^(?P<name>[a-z0-9-]+)\[[a-z0-9,-]+\](?P<pin>==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


def with_plain_pins(lock: str) -> str:
    """The lock with a second pin, of the same hashes, for each package that has an extra; it may have it already."""

    def pinned(match: re.Match[str]) -> str:
        plain = f"{match['name']}{match['pin']}"
        return match[0] if lock.endswith(plain, 0, match.start()) else plain + match[0]

    return WITH_EXTRA.sub(pinned, lock)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_plain_pins(path.read_text()))
