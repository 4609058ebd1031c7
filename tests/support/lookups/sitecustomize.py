"""Writes each host that a Python process looks up or connects to into the file ``HOST_LOOKUPS``, a line each.

A folder of its own: in PYTHONPATH it is imported when a process starts, and by each of its children. Of pip nothing is
written: the demo installs the server of its agents when it is first used.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex")


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if event in NAMES:
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if "pip" in Path(sys.argv[0]).parts:
        return
    text = host.decode() if isinstance(host, bytes) else str(host or "")
    with Path(os.environ["HOST_LOOKUPS"]).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


if "HOST_LOOKUPS" in os.environ:
    sys.addaudithook(_record)
