"""``slipway plan``: shows what events or an image would cause; cli/plan has the logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Image, Local, SnapshotFile
from cli.runner import print_result, run_and_print


def plan(  # noqa: PLR0913, PLR0917 - one parameter an option
    subject: Annotated[list[str], typer.Argument(help="Files of events (- reads the input), or one agent.")],
    image: Image = None,
    snapshot: SnapshotFile = None,
    registry: Annotated[str | None, typer.Option(help="The registry's name, if the snapshot has none.")] = None,
    agents: Annotated[Path | None, typer.Option(help="An agents.yaml to use instead of the app's.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Plan as of this time: 2026-12-24T18:00+01:00; without an offset it is UTC.")
    ] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Show what events or an image would cause. For an agent without an image: its next steps. Changes nothing."""
    from cli.durations import parse_time
    from cli.plan.arguments import PlanArguments
    from cli.plan.planner import plan_live, plan_offline

    arguments = PlanArguments.parse(subject, image, parse_time(at) if at else None)
    if snapshot is not None:
        print_result(plan_offline(arguments, snapshot, agents or Path("agents.yaml"), registry), as_json)
        return
    run_and_print(local, as_json, lambda context: plan_live(context, arguments, agents))
