"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Local = Annotated[bool, typer.Option("--local", help="Use the stack of `make up` in this checkout.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Agent = Annotated[str, typer.Argument(help="An agent of agents.yaml.")]
OptionalAgent = Annotated[str | None, typer.Argument(help="An agent of agents.yaml; by default all.")]
By = Annotated[
    str | None,
    typer.Option(help="A note, such as for whom you act. The author is the account that is signed in."),
]
Why = Annotated[str, typer.Option(help="The reason to record in state store and journal.")]
Digest = Annotated[str | None, typer.Option(help="An image, sha256:…; by default the desired image.")]
Until = Annotated[str | None, typer.Option(help="End it after this time: 30m, 12h, 7d.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show the release until it ends.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Image = Annotated[str | None, typer.Option(help="REPOSITORY:TAG or REPOSITORY@sha256:…, with or without registry.")]
SnapshotFile = Annotated[
    Path | None, typer.Option("--snapshot", help="A file of `slipway snapshot`; no service is called.")
]
