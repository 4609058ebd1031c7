"""What a process holds: memory, and the sockets that it has open, by the part of the stack that they lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import resident

ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Footprint:
    """MiB, and open sockets by part; nothing where there is no /proc."""

    memory: float = 0.0
    sockets: Counter[str] = field(default_factory=Counter)


def footprint(pid: int, parts: Mapping[int, str]) -> Footprint:
    """Of a process; ``parts`` says which part listens on which port."""
    folder = Path(f"/proc/{pid}")
    if not folder.exists():
        return Footprint()
    leads_to = {inode: parts.get(port, ELSEWHERE) for inode, port in _connections(folder)}
    found = Counter[str]()
    for one in (folder / "fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            kind, _, rest = str(one.readlink()).partition(":[")
            found[leads_to.get(rest.rstrip("]"), ELSEWHERE)] += kind == "socket"
    return Footprint(resident(pid), found)


def _connections(folder: Path) -> list[tuple[str, int]]:
    """Inode and remote port of every TCP connection, as the kernel lists them."""
    lines = [line.split() for line in (folder / "net" / "tcp").read_text().splitlines()[1:]]
    return [(line[9], int(line[2].rpartition(":")[2], 16)) for line in lines]
