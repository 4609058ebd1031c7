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
from urllib.parse import urlencode

import typer
from aiohttp import ClientError, ClientResponseError

from local.control import configure
from local.endpoints import ROOT, repositories
from local.images import Kind, push
from local.next_steps import next_steps
from local.private_files import SharedFolderError
from local.processes import PartExitedError
from local.signing import PrivateKey, SigningKeyError, read_key, sign_image, stack_key
from local.stack import Options, Stack
from local.visible import visible

T = TypeVar("T")

SINCE = "since"
"""Name of the file that holds the time of the last push or secret."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Azure on a laptop.")
Folder = Annotated[
    Path, typer.Option(help="Folder for state, logs and endpoints.json.", envvar="SLIPWAY_LOCAL", show_envvar=False)
]


@app.command()
def up(  # noqa: PLR0913, PLR0917 - each is an option
    folder: Folder = Path(".local"),
    agents: Annotated[Path, typer.Option(help="The agents.yaml to use.")] = ROOT / "agents.yaml",
    deliver: Annotated[Literal["queue", "straight"], typer.Option(help="How Event Grid delivers events.")] = "queue",
    functions: Annotated[bool, typer.Option(help="Start the Functions host; without it, start your own.")] = True,
    run_agents: Annotated[bool, typer.Option(help="Run images; without it, agents give configured answers.")] = True,
    keep: Annotated[bool, typer.Option(help="Continue where the last stack with --keep stopped.")] = False,
    ports: Annotated[int | None, typer.Option(help="0: use any free ports instead of the documented ones.")] = None,
    dispatcher: Annotated[
        Path | None,
        typer.Option(envvar="LOCAL_DISPATCHER", exists=True, dir_okay=False, help="Azure's own dispatchers to use."),
    ] = None,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    if deliver == "straight" and not functions:
        raise typer.BadParameter("--deliver straight needs the Functions host: remove --no-functions")
    _signing_key(folder)  # agents.yaml may name its public key
    if _cli("validate", str(agents.resolve())):  # validate prints what is wrong, and where
        raise typer.Exit(1)
    options = Options(
        *(folder.resolve(), agents.resolve(), deliver, ports == 0, functions, run_agents),
        dispatcher=dispatcher and dispatcher.resolve(),
        keep=keep,
    )
    raise typer.Exit(asyncio.run(_up(options)))


async def _up(options: Options) -> int:
    stack = Stack(options)
    stopping = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    try:
        await stack.up()
        print(next_steps(stack.endpoints, options.folder, repositories(options.agents)), flush=True)
        exited = asyncio.create_task(stack.wait_for_exit())
        await asyncio.wait({exited, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            exited.result()
        exited.cancel()
    except (PartExitedError, OSError) as error:
        print(f"stopped: {error}", flush=True)
        return 1
    finally:
        await stack.down()
    return 0


@app.command("demo")
def run_demo(
    picture: Annotated[Path | None, typer.Option(help="Also write the screen to this SVG file.")] = None,
) -> None:
    """Show within a minute what Slipway does, from a push to live; exit 0 only if every check passed."""
    from local.demo.run import main

    raise typer.Exit(main(picture))


@app.command()
def rehearse() -> None:
    """Do what azd up and azd down do, hooks included, against a Resource Manager on this machine; print the rows."""
    from local.rehearsal.run import main

    raise typer.Exit(main())


@app.command("push")
def push_image(
    reference: Annotated[str, typer.Argument(help="REPOSITORY[:TAG]")],
    salt: Annotated[str, typer.Option(help="Any text; a different text gives a different digest.")] = "",
    kind: Kind = "image",
    label: Annotated[
        list[str] | None, typer.Option(help="A label of the image, as NAME=VALUE; may be repeated.")
    ] = None,
    sign: Annotated[
        bool,
        typer.Option("--sign", help="Sign it with the stack's key; signing/release.pub verifies it."),
    ] = False,
    sign_with: Annotated[
        Path | None, typer.Option(help="Sign it with another private key, a file in PEM.", exists=True, dir_okay=False)
    ] = None,
    folder: Folder = Path(".local"),
) -> None:
    """Build a tiny real image and push it to the local registry."""
    repository, _, tag = reference.partition(":")
    if ":" in tag:
        raise typer.BadParameter(f"{reference}: a tag cannot contain a colon; write REPOSITORY or REPOSITORY:TAG")
    registry = _endpoints(folder)["registry"]
    key = _signing_key(folder, sign_with) if sign or sign_with else None
    if not tag:
        _note_time(folder)  # the registry knows when a tag was pushed
    labels = dict(text.partition("=")[::2] for text in label or [])
    digest = _run(push(registry, repository, tag or None, salt=salt, kind=kind, labels=labels))
    if key is not None:
        _run(sign_image(registry, repository, digest, key))
    print(digest)


@app.command("answer")
def set_answer(
    pattern: Annotated[str, typer.Argument(help="Regular expression for the tag or digest.")],
    text: Annotated[str, typer.Argument(help="The answer.")],
    folder: Folder = Path(".local"),
) -> None:
    """Set the answer of all agents whose image matches."""
    _run(configure(_endpoints(folder), "foundry", "provisioning", {"answer": {pattern: text}}))


@app.command("configure")
def configure_part(
    part: Annotated[str, typer.Argument(help="A service of endpoints.json, such as foundry or vault.")],
    route: Annotated[
        str, typer.Argument(help="faults, provisioning, delivery, evaluations, referrers, clock, arm or github.")
    ],
    body: Annotated[str, typer.Argument(help="JSON.")],
    project: Annotated[
        str, typer.Option(help="Of faults: only in this project of Foundry, or this vault, by its name in the address.")
    ] = "",
    folder: Folder = Path(".local"),
) -> None:
    """Change how a service behaves: make it slow, full or broken (docs/how-to/local-stack.md)."""
    endpoints = _endpoints(folder)
    parts = [name for name, address in endpoints.items() if "://" in str(address)]
    if part not in parts:
        raise typer.BadParameter(f"{part}: the services are {', '.join(parts)}", param_hint="PART")
    if project and (route != "faults" or part not in ("foundry", "vault")):
        raise typer.BadParameter("only faults of foundry and vault may be those of one project", param_hint="--project")
    try:
        value = json.loads(body)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"no JSON: {error}", param_hint="BODY") from error
    _run(configure(endpoints, part, f"{route}?{urlencode({'project': project})}" if project else route, value))


@app.command("secret")
def set_secret(
    name: str,
    value: str,
    vault: Annotated[str, typer.Option(help="Another vault of the stand-in: its name below /vaults/.")] = "",
    folder: Folder = Path(".local"),
) -> None:
    """Write a new version of a secret to the local Key Vault, which publishes an event."""
    endpoints = _endpoints(folder)
    _note_time(folder)
    place = f"vaults/{vault}/secrets" if vault else "secrets"
    _run(configure(endpoints, "vault", f"{place}/{name}", {"value": value}))


@app.command("watch")
def watch_decisions(
    agent: Annotated[str, typer.Argument(help="Show this agent only.")] = "",
    until: Annotated[str, typer.Option(help="Stop at this reason, such as LIVE.")] = "",
    folder: Folder = Path(".local"),
) -> None:
    """Show decisions since the last push or secret as they are made, until Ctrl-C or a reason."""
    from local.watch import watch

    marker = folder / SINCE
    since = marker.read_text() if marker.exists() else ""
    with contextlib.suppress(KeyboardInterrupt):
        raise typer.Exit(_run(watch(_endpoints(folder), agent, until, since)))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; print one line and exit 1 if a stand-in does not answer or refuses."""
    try:
        return asyncio.run(work)
    except ClientResponseError as error:
        print(visible(f"refused: {error.status} {error.message} for {error.request_info.url}"), file=sys.stderr)
    except ClientError as error:
        print(visible(f"{error}: is `make up` still running?"), file=sys.stderr)
    raise typer.Exit(1)


def _signing_key(folder: Path, file: Path | None = None) -> PrivateKey:
    """The key of a file, or else of the stack."""
    try:
        return read_key(file) if file else stack_key(folder)
    except (SharedFolderError, SigningKeyError) as error:
        raise typer.BadParameter(str(error)) from error


def _note_time(folder: Path) -> None:
    """Save the time of a change, so that ``watch`` shows what follows from it."""
    (folder / SINCE).write_text(datetime.now(UTC).isoformat())


def _endpoints(folder: Path) -> dict[str, Any]:
    try:
        endpoints: dict[str, Any] = json.loads((folder / "endpoints.json").read_text())
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{folder}/endpoints.json is missing; run `make up` first") from error
    return endpoints


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Always on here: only the timer deletes.")] = True,
) -> None:
    """Show what the next prune would do with each version, and why (`slipway prune --dry-run --local`)."""
    raise typer.Exit(_cli("prune", "--dry-run", "--local"))


@app.command()
def digests() -> None:
    """List the images that versions need (`slipway digests --local`)."""
    raise typer.Exit(_cli("digests", "--local"))


def _cli(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "cli", *arguments], check=False).returncode


if __name__ == "__main__":
    app()
