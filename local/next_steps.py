"""What ``make up`` prints once everything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def next_steps(endpoints: dict[str, Any], folder: Path) -> str:
    """Return what a person can do next, and where to find results."""
    registry = endpoints["registry"]
    return f"""
Ready. Push an image of an agent in agents.yaml, in one of these ways:

  .venv/bin/python -m local push agents/hello:v1      (a tiny image, built on the spot)
  docker push {registry}/agents/hello:v1      (tag an image with this name first)
  skopeo copy --dest-tls-verify=false docker-archive:image.tar docker://{registry}/agents/hello:v1

Use the command line against this stack:

  .venv/bin/slipway status --local      (why, plan, rollback, doctor …: docs/reference/cli.md)

See the results:

  {endpoints["telemetry"]}/      releases on a timeline, decisions with their reasons, metrics
  {folder / "endpoints.json"}      all addresses, and the environment for your own client
  {folder}/*.log      output of the Functions host and of storage

Press Ctrl-C to stop.
"""
