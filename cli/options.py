"""What the commands may be given, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Local = Annotated[bool, typer.Option("--local", help="Against `make up` of this checkout.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Agent = Annotated[str, typer.Argument(help="An agent of agents.yaml.")]
MaybeAgent = Annotated[str | None, typer.Argument(help="An agent of agents.yaml; all of them where none is named.")]
By = Annotated[str, typer.Option(help="Who says so; stands in the ledger and the journal.", envvar="USER")]
Why = Annotated[str, typer.Option(help="Why; stands in the ledger and the journal.")]
Digest = Annotated[str | None, typer.Option(help="An image, sha256:…; what is wanted where none is given.")]
Until = Annotated[str | None, typer.Option(help="It ends by itself after so long: 30m, 12h, 7d.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show what comes of it until it is over.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
Image = Annotated[str | None, typer.Option(help="REPOSITORY:TAG, REPOSITORY@sha256:…, with or without the registry.")]
World = Annotated[Path | None, typer.Option(help="A world that `slipway snapshot` wrote: nobody is asked.")]
SOMEBODY = "somebody"
