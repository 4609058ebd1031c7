"""``slipway``: registers the commands and starts the one that was asked for."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.commands import (
    adopt,
    digests,
    doctor,
    evaluate,
    plan,
    prune,
    replay,
    snapshot,
    status,
    user_commands,
    validate,
    verify,
    versions,
    wait,
    why,
)
from cli.exit_codes import INTERRUPTED

MAX_YOUNG_OBJECTS = 50_000
HELP = """See what Slipway does and why, and command it.

Exit codes: 0 done; 1 the result is bad; 2 the request is wrong; 3 a service does not answer or refuses;
4 nothing to act on; 130 stopped by Ctrl-C."""

COMMANDS = (
    validate.validate,
    plan.plan,
    snapshot.snapshot,
    why.why,
    status.status,
    versions.versions,
    digests.digests,
    verify.verify,
    doctor.doctor,
    evaluate.evaluate,
    user_commands.release,
    user_commands.retry,
    user_commands.rollback,
    user_commands.approve,
    user_commands.hold,
    user_commands.unhold,
    user_commands.pause,
    user_commands.resume,
    wait.wait,
    prune.prune,
    replay.replay,
    adopt.adopt,
)

app = typer.Typer(
    name="slipway",
    no_args_is_help=True,
    help=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # an error may contain a command; a box around it would prevent copying
)
for command in COMMANDS:
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        import tomllib

        project = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text())["project"]
        print(f"slipway {project['version']}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options before a command."""


def main() -> None:
    """Run the console script."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # the search for plugins reads every package
    os.environ["AZURE_TRACING_ENABLED"] = "false"  # nothing exports the spans that the app's settings ask for
    # Imports allocate what stays: looking for garbage in it was an eighth of status.
    gc.set_threshold(MAX_YOUNG_OBJECTS)
    try:
        app(standalone_mode=True, prog_name="slipway")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
