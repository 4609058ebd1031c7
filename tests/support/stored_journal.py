"""The journal of a stack, read from its storage: a run writes it before it ends, while telemetry arrives later."""

from __future__ import annotations

import json
from typing import Any

from azure.storage.blob import ContainerClient


def journal_lines(container: ContainerClient) -> list[dict[str, Any]]:
    """The lines of all days."""
    names = [blob.name for blob in container.list_blobs(name_starts_with="journal/")]
    return [json.loads(line) for name in names for line in container.download_blob(name).readall().splitlines()]
