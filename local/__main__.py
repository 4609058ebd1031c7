"""``python -m local``: Azure on a laptop, from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from aiohttp import ClientError, ClientResponseError

from local.control import tell
from local.endpoints import ROOT
from local.images import Kind, push
from local.next_steps import how_to_go_on
from local.processes import PartDiedError
from local.stack import Options, Stack

T = TypeVar("T")

SINCE = "since"
"""The file that holds the time of the last push or secret."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Azure on a laptop.")
Folder = Annotated[
    Path, typer.Option(help="Where state, logs and endpoints.json are kept.", envvar="SLIPWAY_LOCAL", show_envvar=False)
]


@app.command()
def up(
    folder: Folder = Path(".local"),
    agents: Annotated[Path, typer.Option(help="Another agents.yaml.")] = ROOT / "agents.yaml",
    deliver: Annotated[Literal["queue", "straight"], typer.Option(help="How Event Grid hands over.")] = "queue",
    functions: Annotated[bool, typer.Option(help="Without: start a Functions host yourself.")] = True,
    ports: Annotated[int | None, typer.Option(help="0: any free ports; else the documented ones.")] = None,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    folder.mkdir(parents=True, exist_ok=True)
    if deliver == "straight" and not functions:
        raise typer.BadParameter("--deliver straight needs the Functions host: leave --no-functions out")
    if _cli("validate", str(agents.resolve())):  # it says what is wrong, and where
        raise typer.Exit(1)
    options = Options(folder.resolve(), agents.resolve(), deliver, free_ports=ports == 0, functions=functions)
    raise typer.Exit(asyncio.run(_up(options)))


async def _up(options: Options) -> int:
    stack = Stack(options)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await stack.up()
        print(how_to_go_on(stack.endpoints, options.folder), flush=True)
        watching = asyncio.create_task(stack.watch())
        await asyncio.wait({watching, asyncio.create_task(ended.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        watching.cancel()
    except (PartDiedError, OSError) as error:
        print(f"stopped: {error}", flush=True)
        return 1
    finally:
        await stack.down()
    return 0


@app.command("demo")
def show_demo(
    picture: Annotated[Path | None, typer.Option(help="Also write the screen to this SVG file.")] = None,
) -> None:
    """Show what Slipway does, from a push to live, in half a minute; exits 0 only if all of it was true."""
    from local.demo.run import main

    raise typer.Exit(main(picture))


@app.command("push")
def push_image(
    reference: Annotated[str, typer.Argument(help="REPOSITORY[:TAG]")],
    salt: Annotated[str, typer.Option(help="Another text makes another digest.")] = "",
    kind: Kind = "image",
    folder: Folder = Path(".local"),
) -> None:
    """Push a tiny real image to the local registry."""
    repository, _, tag = reference.partition(":")
    if ":" in tag:
        raise typer.BadParameter(f"{reference}: a tag has no colon; write REPOSITORY or REPOSITORY:TAG")
    registry = _endpoints(folder)["registry"]
    _since(folder)
    print(_done(push(registry, repository, tag or None, salt=salt, kind=kind)))


@app.command("answer")
def set_answer(
    pattern: Annotated[str, typer.Argument(help="Expression on the tag or digest.")],
    text: Annotated[str, typer.Argument(help="What such an agent answers.")],
    folder: Folder = Path(".local"),
) -> None:
    """Have the local Foundry answer for every version whose image matches."""
    _done(tell(_endpoints(folder), "foundry", "provisioning", {"answer": {pattern: text}}))


@app.command("secret")
def set_secret(name: str, value: str, folder: Folder = Path(".local")) -> None:
    """Write a new version of a secret into the local Key Vault, which tells Event Grid."""
    endpoints = _endpoints(folder)
    _since(folder)
    _done(tell(endpoints, "vault", f"secrets/{name}", {"value": value}))


@app.command("watch")
def watch_decisions(
    agent: Annotated[str, typer.Argument(help="Only what concerns this agent; all of them without it.")] = "",
    until: Annotated[str, typer.Option(help="End with this reason, such as LIVE.")] = "",
    folder: Folder = Path(".local"),
) -> None:
    """Show what is decided since the last push or secret, as it is decided, until Ctrl-C or a reason."""
    from local.watch import watch

    marker = folder / SINCE
    since = marker.read_text() if marker.exists() else ""
    with contextlib.suppress(KeyboardInterrupt):
        raise typer.Exit(_done(watch(_endpoints(folder), agent, until, since)))


def _done(work: Coroutine[Any, Any, T]) -> T:
    """The result; one line where a part is not there any more, or refuses."""
    try:
        return asyncio.run(work)
    except ClientResponseError as error:
        print(f"refused: {error.status} {error.message} for {error.request_info.url}", file=sys.stderr)
    except ClientError as error:
        print(f"{error}: is `make up` still running?", file=sys.stderr)
    raise typer.Exit(1)


def _since(folder: Path) -> None:
    """Note when something was done, so that whoever watches sees what came of it."""
    (folder / SINCE).write_text(datetime.now(UTC).isoformat())


def _endpoints(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "endpoints.json").read_text())
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{folder}/endpoints.json is missing; run `make up` first") from error
    return found


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The one way here: the timer deletes.")] = True,
) -> None:
    """What the next prune would do with each version, and why: the command line's, against what runs here."""
    raise typer.Exit(_cli("prune", "--dry-run", "--local"))


@app.command()
def digests() -> None:
    """The images that versions need: the command line's, against what runs here."""
    raise typer.Exit(_cli("digests", "--local"))


def _cli(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "cli", *arguments], check=False).returncode


if __name__ == "__main__":
    app()
