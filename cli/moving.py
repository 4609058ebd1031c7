"""The commands that ask before they act: delete versions, send events again, take an agent over."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import SOMEBODY, AsJson, By, Local, MaybeAgent, Yes
from cli.running import asked, prepare

app = typer.Typer()
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command()
def prune(
    agent: MaybeAgent = None, dry_run: DryRun = False, yes: Yes = False, local: Local = False, as_json: AsJson = False
) -> None:
    """Delete the versions that nobody needs, as the timer does; the plan comes first, and a question."""
    from cli import pruning

    asked(local, as_json, lambda house: pruning.prune(house, agent, pruning.How(dry_run, yes, as_json)))


@app.command()
def replay(
    files: Annotated[
        list[str] | None, typer.Argument(help="Dead letters, poisoned or stored events; - reads the input.")
    ] = None,
    poisoned_since: Annotated[
        str | None, typer.Option(help="In place of files: what the journal keeps of poisoned messages: 12h, 7d.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Publish to this custom topic in place of the queue `events`.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Send events again, oldest first, each once; what they come to is decided as if they had just come."""
    prepare(local)
    from cli import replaying

    how = replaying.How(dry_run, yes, as_json, topic)
    source = replaying.Source.of(files, poisoned_since)
    asked(local, as_json, lambda house: replaying.replay(house, source, how))


@app.command()
def adopt(
    agent: Annotated[str, typer.Argument(help="An agent of the Foundry project; it need not be in agents.yaml.")],
    by: By = SOMEBODY,
    dry_run: DryRun = False,
    yes: Yes = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """An agent rule, and the first ledger records, for an agent that already runs; its version is left alone."""
    from cli import adopting

    asked(local, as_json, lambda house: adopting.adopt(house, agent, by, adopting.How(dry_run, yes, as_json)))
