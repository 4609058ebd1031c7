"""Memory and open sockets of a process; sockets by the part of the stack that they connect to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import resident_memory

OTHER = "other"


@dataclass(frozen=True)
class Footprint:
    """MiB, and open sockets by part; empty without /proc."""

    memory: float = 0.0
    sockets: Counter[str] = field(default_factory=Counter)


def footprint(pid: int, parts: Mapping[int, str]) -> Footprint:
    """The footprint of a process; ``parts`` maps ports to parts."""
    folder = Path(f"/proc/{pid}")
    if not folder.exists():
        return Footprint()
    peers = {inode: parts.get(port, OTHER) for inode, port in _connections(folder)}
    sockets = Counter[str]()
    for descriptor in (folder / "fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            kind, _, rest = str(descriptor.readlink()).partition(":[")
            sockets[peers.get(rest.rstrip("]"), OTHER)] += kind == "socket"
    return Footprint(resident_memory(pid), sockets)


def _connections(folder: Path) -> list[tuple[str, int]]:
    """Inode and remote port of every TCP connection, as the kernel lists them."""
    lines = [line.split() for line in (folder / "net" / "tcp").read_text().splitlines()[1:]]
    return [(line[9], int(line[2].rpartition(":")[2], 16)) for line in lines]
