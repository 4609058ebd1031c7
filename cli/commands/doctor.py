"""``slipway doctor``: finds the cause of an ImageError, a 401 or a 403; cli/doctor has the checks."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJson, Local
from cli.runner import prepare


def doctor(
    identity: Annotated[
        str | None, typer.Option(help="The client id of the app's identity; by default AZURE_CLIENT_ID.")
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(help="The only subscription to search.", envvar="AZURE_SUBSCRIPTION_ID")
    ] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong. Prints the command that mends it."""
    prepare(local)
    from cli.doctor.run import run_doctor

    raise typer.Exit(run_doctor(as_json, identity, subscription))
