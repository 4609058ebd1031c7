"""The Functions host as a process of its own: ``python -m local.functions_host``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

CHECKOUT = Path(__file__).resolve().parents[2]


def main(
    app: Path = Path(),
    port: int = 0,
    folder: Path = Path(".local"),
    only: Annotated[list[str] | None, typer.Option(help="Serve only this function, as instances on Flex do.")] = None,
    dispatcher: Annotated[
        Path | None,
        typer.Option(envvar="LOCAL_DISPATCHER", exists=True, dir_okay=False, help="Azure's own dispatchers to use."),
    ] = None,
    stop_seconds: Annotated[
        float, typer.Option(envvar="LOCAL_STOP_SECONDS", help="How long a stop waits for what runs.")
    ] = 10.0,
) -> None:
    """Serve the app in the folder APP and print the address as one line of JSON."""
    app = app.resolve()
    search_app_last(app)
    from local.functions_host.host import Options, StartError, serve  # they import core, found by the new path

    options = Options(app, port, folder, tuple(only or ()), dispatcher and dispatcher.resolve(), stop_seconds)
    try:
        run_on_worker_loop(serve(options))
    except StartError as error:
        raise SystemExit(f"functions: {error}") from error


def search_app_last(app: Path) -> None:
    """Search the app after the installed packages, as the worker does, and then the checkout, which Azure lacks."""
    rest = [entry for entry in sys.path if Path(entry).resolve() not in (app, CHECKOUT)]
    sys.path[:] = [*rest, *dict.fromkeys((str(app), str(CHECKOUT)))]


def run_on_worker_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on the event loop of the worker, which is uvloop from Python 3.13 on."""
    if sys.version_info >= (3, 13) and sys.platform != "win32":
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)


if __name__ == "__main__":
    typer.run(main)
