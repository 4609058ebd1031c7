"""``python -m bench.specialised_worker``: a worker that waits without an app gets one, and its first event.

Reads ``{app, env, function, payload}`` from the standard input and prints the seconds of each part.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


async def run(app: Path, env: dict[str, str], function: str, payload: str) -> dict[str, float]:
    """Seconds until the app is indexed, and of the first event, with the import of the worker's library.

    Also the seconds of processor time, and the MiB that were read from the disk.
    """
    began, processor, read = time.perf_counter(), time.process_time(), _read_bytes()
    os.environ.update(env)
    from local.functions_host import runtime_worker

    await runtime_worker.specialise(app, env)
    functions = await runtime_worker.functions(env)
    indexed = time.perf_counter()
    await functions[function].call(payload, {})
    ended = time.perf_counter()
    return {
        "indexed": indexed - began,
        "event": ended - indexed,
        "processor": time.process_time() - processor,
        "read": (_read_bytes() - read) / 2**20,
    }


def _read_bytes() -> int:
    """Bytes that this process had to read from the disk, since they were not in the page cache."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_inblock * 512


def main() -> None:
    """Run on uvloop, as Microsoft's worker does."""
    import uvloop

    asked: dict[str, Any] = json.load(sys.stdin)
    coroutine = run(Path(asked["app"]), asked["env"], asked["function"], asked["payload"])
    print(json.dumps(uvloop.run(coroutine)), flush=True)
    os._exit(0)  # as Azure ends it: nothing is sent at exit


if __name__ == "__main__":
    main()
