"""What ``make up`` prints once everything runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def next_steps(endpoints: dict[str, Any], folder: Path, repositories: Sequence[str]) -> str:
    """Return what a person can do next, and where to find results; the images are of the first repository."""
    usual = folder == Path(".local").resolve()
    other = f"  export SLIPWAY_LOCAL={shlex.quote(str(folder))}      (this stack's folder, for every command below)\n"
    registry, image = endpoints["registry"], f"{repositories[0] if repositories else 'REPOSITORY'}:v1"
    return f"""
Ready. In a second terminal:

  source .venv/bin/activate      (puts slipway and this checkout's Python on the path)
{"" if usual else other}
Push an image to a repository of agents.yaml ({", ".join(repositories) or "it has none"}), in one of these ways:

  python -m local push {image}      (a tiny image, built on the spot)
  docker push {registry}/{image}      (tag an image with this name first)
  skopeo copy --dest-tls-verify=false docker-archive:image.tar docker://{registry}/{image}

Use the command line against this stack:

  slipway status --local      (why, plan, rollback, doctor …: docs/reference/cli.md)

See the results:

  {endpoints["telemetry"]}/      releases on a timeline, decisions with their reasons, metrics
  {folder / "endpoints.json"}      all addresses, and the environment for your own client
  {folder}/*.log      output of the Functions host and of storage

Press Ctrl-C to stop.
"""
