"""A cold start on Microsoft's worker: from the app's assignment to a waiting process to the end of its first event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.apps import empty_app
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError, Testbed, start_testbed
from bench.trigger import EVENT
from local.endpoints import ROOT

PYTHON = "BENCH_WORKER_PYTHON"
"""The path of a Python 3.13 with requirements.txt, where the bench itself runs on an older one."""
FUNCTION = "event_queued"
PACKAGES = "aiohttp, azure.storage.blob.aio, azure.storage.queue.aio, pydantic.main, yaml"
"""What an event needs of other packages: to read agents.yaml, to store what is desired and to queue a release."""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
Parts = dict[str, float]


def rows(effort: Effort) -> Iterator[Row]:
    """With the files in the page cache, and without, each beside an empty app."""
    python = sys.executable if sys.version_info >= (3, 13) else os.environ.get(PYTHON, "")
    if not python:
        raise NotMeasuredError(f"Microsoft's library of the worker needs Python 3.13: name one in {PYTHON}")
    repeats = effort.choose(11, 3)
    with start_testbed({"hello": 1}) as testbed, tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        empty = empty_app(Path(name) / "empty", f"import {PACKAGES}")
        workers = [Worker(python, app, testbed, Path(name) / "bytecode") for app in (ROOT, empty)]
        for worker in workers:
            worker.start()  # writes the bytecode
        warm = [[worker.start() for worker in workers] for _ in range(repeats)]
        yield _row("warm", 0.9, warm)
        cold = [[worker.start(is_cold=True) for worker in workers] for _ in range(repeats)]
        if min(_read(cold)) <= max(_read(warm)):
            raise NotMeasuredError(
                "the files stayed in the page cache: a start read no more from the disk than a warm one"
            )
        yield _row("cold", 1.4, cold)


@dataclass(frozen=True)
class Worker:
    """Starts workers of one app."""

    python: str
    app: Path
    testbed: Testbed
    bytecode: Path

    def start(self, *, is_cold: bool = False) -> Parts:
        """Seconds of the parts of one start."""
        if is_cold:
            _forget(self.bytecode)
            _forget(Path(self.python).parents[1] / "lib")
        env = {**self.testbed.running.endpoints["env"], "PATH": os.environ["PATH"]}
        asked = {"app": str(self.app), "env": env, "function": FUNCTION, "payload": _push()}
        done = subprocess.run(
            [self.python, "-m", "bench.specialised_worker"],
            input=json.dumps(asked),
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(self.bytecode)},
            cwd=self.app,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotMeasuredError((done.stderr.strip() or "the worker ended").splitlines()[-1])
        parts: Parts = json.loads(done.stdout.splitlines()[-1])
        return parts


def _push() -> str:
    """The event of a new image."""
    target = {
        "mediaType": MANIFEST,
        "digest": f"sha256:{time.time_ns():064x}",
        "repository": "agents/hello",
        "tag": "v1",
    }
    now = datetime.now(UTC).isoformat()
    return json.dumps(
        {**EVENT, "id": str(uuid.uuid4()), "eventTime": now, "data": {"action": "push", "target": target}}
    )


def _forget(folder: Path) -> None:
    """Take all files below a folder out of the page cache; what is not on the disk yet would stay, so it is written."""
    for path in filter(Path.is_file, folder.rglob("*")):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read(pairs: list[list[Parts]]) -> list[float]:
    """MiB that the starts of our app had to read from the disk."""
    return [ours["read"] for ours, _ in pairs]


def _row(case: str, target: float, pairs: list[list[Parts]]) -> Row:
    ours, empty = ([pair[n] for pair in pairs] for n in (0, 1))
    return Row(
        name=f"specialise, {case}",
        description="assignment of the app to a waiting worker → end of its first event",
        unit="s",
        value=median(parts["indexed"] + parts["event"] for parts in ours),
        target=target,
        bound=median(parts["indexed"] + parts["event"] for parts in empty),
        bound_description=f"an app with the same triggers and telemetry whose event only imports {PACKAGES}",
        method=f"Medians of {len(pairs)} fresh processes each, alternating, of Microsoft's library of the Functions "
        f"worker; bytecode written, files {'not ' if case == 'cold' else ''}in the page cache",
        details={
            "until the app is indexed, s": median(parts["indexed"] for parts in ours),
            "its first event, s": median(parts["event"] for parts in ours),
            "processor time, s": median(parts["processor"] for parts in ours),
            "processor time of that app, s": median(parts["processor"] for parts in empty),
            "read from the disk, MiB": median(_read(pairs)),
        },
        missed_because="what is above the bound is our own modules, the validators of agents.yaml and the event's "
        "requests; the bound is processor time of packages that an event cannot do without",
    )
