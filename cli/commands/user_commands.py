"""The commands by which a person says something: a ledger write and a queue message, and the app does the rest."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.codes import Mistake
from cli.options import SOMEBODY, Agent, AsJson, By, Digest, Image, Local, Until, Watch, Why
from cli.running import asked

app = typer.Typer()


@app.command()
def release(
    agent: Agent,
    image: Image = None,
    by: By = SOMEBODY,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Release an image whatever its tag and soak say; a hold on it is lifted."""
    if image is None:
        raise Mistake("say which image: --image REF; what is wanted already: slipway retry")
    _say("request_release", agent, local, as_json, watch, by=by, image=image)


@app.command()
def retry(agent: Agent, by: By = SOMEBODY, watch: Watch = False, local: Local = False, as_json: AsJson = False) -> None:
    """Release what is wanted once more, whatever it ended with; a hold on it is lifted."""
    _say("request_release", agent, local, as_json, watch, by=by)


@app.command()
def rollback(
    agent: Agent,
    why: Why,
    to: Annotated[str | None, typer.Option(help="The version; what was good before where none is named.")] = None,
    by: By = SOMEBODY,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Have an earlier version serve again, as it is, also through a pause; what serves now is held."""
    _say("request_rollback", agent, local, as_json, watch, by=by, why=why, to=to)


@app.command()
def approve(
    agent: Agent,
    version: Annotated[str | None, typer.Option(help="The version that you mean; another is refused.")] = None,
    by: By = SOMEBODY,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Let the version that waits go live."""
    _say("approve", agent, local, as_json, watch, by=by, version=version)


@app.command()
def hold(
    agent: Agent,
    why: Why,
    by: By = SOMEBODY,
    digest: Digest = None,
    until: Until = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Keep an image from going live."""
    _say("hold", agent, local, as_json, why=why, by=by, digest=digest, until=until)


@app.command()
def unhold(
    agent: Agent,
    by: By = SOMEBODY,
    digest: Digest = None,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """End the holds on an image, or all; what is wanted is then released."""
    _say("unhold", agent, local, as_json, watch, by=by, digest=digest)


@app.command()
def pause(
    agent: Agent, why: Why, by: By = SOMEBODY, until: Until = None, local: Local = False, as_json: AsJson = False
) -> None:
    """Stop an agent's releases before their next step; `all` for every agent."""
    _say("pause", agent, local, as_json, why=why, by=by, until=until)


@app.command()
def resume(
    agent: Agent, by: By = SOMEBODY, watch: Watch = False, local: Local = False, as_json: AsJson = False
) -> None:
    """Go on after a pause; `all` for every agent."""
    _say("unpause", agent, local, as_json, watch, by=by)


def _say(word: str, agent: str, local: bool, as_json: bool, watch: bool = False, **given: Any) -> None:
    from cli import words

    told = words.Told(word, agent, {key: value for key, value in given.items() if value is not None})
    asked(local, as_json, lambda house: words.say(house, told, watch, as_json))
