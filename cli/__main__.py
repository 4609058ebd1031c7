"""``python -m cli``: what a person asks Slipway, and what a person tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.running import asked, told

app = typer.Typer(no_args_is_help=True, add_completion=True, help=__doc__, pretty_exceptions_enable=False)

Local = Annotated[bool, typer.Option("--local", help="Against `make up` of this checkout.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Agent = Annotated[str, typer.Argument(help="An agent of agents.yaml.")]
By = Annotated[str, typer.Option(help="Who says so; stands in the ledger and the journal.", envvar="USER")]
Why = Annotated[str, typer.Option(help="Why; stands in the ledger and the journal.")]
Digest = Annotated[str | None, typer.Option(help="An image, sha256:…; what is wanted where none is given.")]


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="The file to read.")] = Path("agents.yaml"),
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema instead.")] = False,
) -> None:
    """Every mistake of agents.yaml, with its place, its line and what to write instead; offline."""
    from cli import offline

    raise typer.Exit(offline.schema() if schema else offline.validate(file))


@app.command()
def status(
    agent: Annotated[str | None, typer.Argument()] = None, local: Local = False, as_json: AsJson = False
) -> None:
    """What is live, wanted and under way; holds and pauses."""
    from cli import views

    asked(local, as_json, lambda house: views.status(house, agent))


@app.command()
def prune(
    agent: Annotated[str | None, typer.Argument()] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The one way here: the timer deletes.")] = True,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """What the next prune would do with each version, and why; nothing is deleted."""
    from cli import views

    asked(local, as_json, lambda house: views.prune(house, agent))


@app.command()
def digests(local: Local = False, as_json: AsJson = False) -> None:
    """The images that versions need: what purges the registry must leave them."""
    from cli import views

    asked(local, as_json, views.digests)


@app.command()
def approve(
    agent: Agent,
    version: Annotated[str | None, typer.Option(help="The version that you mean; another is refused.")] = None,
    by: By = "somebody",
    local: Local = False,
) -> None:
    """Let the version that waits go live."""
    _say("approve", agent, local, by=by, version=version)


@app.command()
def hold(agent: Agent, why: Why, by: By = "somebody", digest: Digest = None, local: Local = False) -> None:
    """Keep an image from going live."""
    _say("hold", agent, local, why=why, by=by, digest=digest)


@app.command()
def lift(agent: Agent, by: By = "somebody", digest: Digest = None, local: Local = False) -> None:
    """End the holds on an image, or all."""
    _say("lift", agent, local, by=by, digest=digest)


@app.command()
def pause(agent: Agent, why: Why, by: By = "somebody", local: Local = False) -> None:
    """Stop an agent's releases before their next step; `all` for every agent."""
    _say("pause", agent, local, why=why, by=by)


@app.command()
def resume(agent: Agent, by: By = "somebody", local: Local = False) -> None:
    """Go on after a pause; `all` for every agent."""
    _say("resume", agent, local, by=by)


@app.command()
def again(agent: Agent, by: By = "somebody", local: Local = False) -> None:
    """Release what is wanted once more, whatever it ended with; a hold on it is lifted."""
    _say("release_now", agent, local, by=by)


def _say(word: str, agent: str, local: bool, **given: Any) -> None:
    from cli import words

    told(local, lambda house: words.say(house, word, agent, given))


if __name__ == "__main__":
    app()
