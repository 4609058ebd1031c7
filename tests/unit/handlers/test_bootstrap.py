"""What bootstrap sets for the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from handlers.bootstrap import MIN_NEW_OBJECTS
from local.endpoints import ROOT

SCRIPT = """
import asyncio, gc
from handlers import bootstrap
try:
    asyncio.run(bootstrap.{trigger})
except Exception:
    print(gc.get_threshold()[0])
"""


@pytest.mark.parametrize("trigger", ["event_queued('{}')", "release_agent('{}')", "resume_releases()"])
def test_garbage_is_collected_rarely_in_a_process_that_handles_events(trigger: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(trigger=trigger)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env={})
    assert done.stdout.strip() == str(MIN_NEW_OBJECTS)
