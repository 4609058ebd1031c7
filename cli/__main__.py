"""``slipway``: asks the product, and tells it what a person wants, with the product's own code."""

from __future__ import annotations

import os
import sys

import typer

from cli import asking, moving, telling
from cli.codes import INTERRUPTED

HELP = """Ask Slipway what it does and why, and tell it what you want.

Exit codes: 0 done; 1 looked at, and not well; 2 what was asked is wrong; 3 a service does not answer or refuses;
4 nothing there that it applies to; 130 stopped by Ctrl-C."""

app = typer.Typer(
    name="slipway",
    no_args_is_help=True,
    help=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # an error's sentence may hold a command: in a box it could not be copied
)
for part in (asking, telling, moving):
    app.add_typer(part.app)


def main() -> None:
    """The console script."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would look for one in every package there is
    try:
        app(standalone_mode=True, prog_name="slipway")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
