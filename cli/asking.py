"""The commands that ask, and change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Image, Local, MaybeAgent, World
from cli.running import asked, prepare, run, tell

app = typer.Typer()


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="The file to read.")] = Path("agents.yaml"),
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every mistake of agents.yaml, with its place, its line and what to write instead; offline."""
    from cli import offline

    raise typer.Exit(offline.schema() if schema else offline.validate(file, as_json))


@app.command()
def plan(
    what: Annotated[list[str], typer.Argument(help="Files of events (- reads them from the input), or one agent.")],
    image: Image = None,
    world: World = None,
    registry: Annotated[str | None, typer.Option(help="Its name, where a world does not say.")] = None,
    agents: Annotated[Path | None, typer.Option(help="Another agents.yaml than the app's.")] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """The steps that would follow, with reasons: of events, of an image, or of what is wanted now; nothing is done."""
    from cli import planning
    from cli.plan_asked import Asked

    asked_for = Asked.read(what, image)
    if world is not None:
        tell(planning.offline(asked_for, world, agents or Path("agents.yaml"), registry), as_json)
        return
    asked(local, as_json, lambda house: planning.live(house, asked_for, agents))


@app.command()
def snapshot(agent: MaybeAgent = None, local: Local = False) -> None:
    """What `plan --world` reads: ledger, agents, versions and images as they are now, as one JSON document."""
    from cli import recorded

    tell(run(local, lambda house: recorded.record(house, agent)), as_json=True)


@app.command()
def why(
    what: Annotated[str, typer.Argument(help="A digest or its beginning, a tag, REPOSITORY:TAG, or an event's id.")],
    since: Annotated[str, typer.Option(help="How far back the journal is read: 12h, 30d.")] = "30d",
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """What was decided about an image or an event, and why, step by step; also about events of no agent."""
    from cli import explaining
    from cli.times import how_long

    back = how_long(since)
    asked(local, as_json, lambda house: explaining.why(house, what, back))


@app.command()
def status(agent: MaybeAgent = None, local: Local = False, as_json: AsJson = False) -> None:
    """What is live, wanted and under way; holds with their end, pauses, versions, quota, the next prune."""
    from cli import views

    asked(local, as_json, lambda house: views.status(house, agent))


@app.command()
def digests(local: Local = False, as_json: AsJson = False) -> None:
    """The images that versions need: what purges the registry must leave them."""
    from cli import views

    asked(local, as_json, views.digests)


@app.command()
def doctor(
    identity: Annotated[
        str | None, typer.Option(help="The client id of the app's identity, where AZURE_CLIENT_ID does not say.")
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(help="Look in this one alone.", envvar="AZURE_SUBSCRIPTION_ID")
    ] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """What is behind an ImageError, a 401 or a 403: each check is ok, wrong or cannot tell, with what mends it."""
    prepare(local)
    from cli.doctor.visit import visit

    raise typer.Exit(visit(as_json, identity, subscription))
