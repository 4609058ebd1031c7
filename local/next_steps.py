"""What ``make up`` tells a person once everything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def how_to_go_on(endpoints: dict[str, Any], folder: Path) -> str:
    """What a person may do once everything is up, and where to look."""
    registry = endpoints["registry"]
    return f"""
ready. Push an image of an agent that agents.yaml names:

  docker push {registry}/agents/hello:v1      (tag an image with this name before)
  skopeo copy --dest-tls-verify=false docker-archive:image.tar docker://{registry}/agents/hello:v1
  .venv/bin/python -m local push agents/hello:v1      (a tiny image, made on the spot)

ask and tell

  .venv/bin/slipway status --local      (why, plan, rollback, doctor …: docs/reference/cli.md)

and look at

  {endpoints["telemetry"]}/      each push on a line of time, what was decided and why, metrics
  {folder / "endpoints.json"}      every address, and the environment for a client of your own
  {folder}/*.log      what the functions host and the storage printed

Ctrl-C ends it.
"""
