"""``python -m local``: Azure on a laptop, from the command line."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from local.images import Kind, push
from local.settings import ROOT
from local.stack import Options, PartDiedError, Stack

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Azure on a laptop.")
Folder = Annotated[Path, typer.Option(help="Where state, logs and endpoints.json are kept.")]


@app.command()
def up(
    folder: Folder = Path(".local"),
    agents: Annotated[Path, typer.Option(help="Another agents.yaml.")] = ROOT / "agents.yaml",
    deliver: Annotated[Literal["queue", "straight"], typer.Option(help="How Event Grid hands over.")] = "queue",
    ports: Annotated[int | None, typer.Option(help="0: any free ports; else the documented ones.")] = None,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(folder.resolve(), agents.resolve(), deliver, free_ports=ports == 0)
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


def how_to_go_on(endpoints: dict[str, Any], folder: Path) -> str:
    """What a person may do once everything is up, and where to look."""
    registry = endpoints["registry"]
    return f"""
ready. Push an image of an agent that agents.yaml names:

  docker push {registry}/agents/hello:v1      (tag an image with this name before)
  skopeo copy --dest-tls-verify=false docker-archive:image.tar docker://{registry}/agents/hello:v1
  .venv/bin/python -m local push agents/hello:v1      (a tiny image, made on the spot)

and look at

  {endpoints["telemetry"]}/      what was decided, and why
  {folder / "endpoints.json"}      every address, and the environment for a client of your own
  {folder}/*.log      what the functions host and the storage printed

Ctrl-C ends it.
"""


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
    try:
        registry = json.loads((folder / "endpoints.json").read_text())["registry"]
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{folder}/endpoints.json is missing; run `make up` first") from error
    print(asyncio.run(push(registry, repository, tag or None, salt=salt, kind=kind)))


if __name__ == "__main__":
    app()
