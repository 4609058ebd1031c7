"""The heartbeats of all instances: the metadata of empty blobs, ``instances/<project>/<instance>``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

from core.foundry_rate import MAX_SILENT_SECONDS, MIN_READS_PER_SECOND, Heartbeat
from core.target import DEFAULT_PROJECT
from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.errors import GatewayError
from handlers.gateways.storage.account import StorageAccount, translate_errors
from handlers.gateways.storage.state_store import CONTAINER

MAX_AGES = 200
"""Metadata holds 8 kB; an instance has a few dozen releases in hand."""
FORGOTTEN_AFTER_SECONDS = 3600.0
MAX_DELETIONS = 5
"""Heartbeats of instances that ended long ago, in one exchange."""


class BlobInstances:
    """See the Instances protocol."""

    def __init__(self, account: StorageAccount, project: str = DEFAULT_PROJECT, container: str = CONTAINER) -> None:
        self._container = account.container(container)
        self._prefix = f"instances/{project}/"

    async def exchange(self, own: Heartbeat) -> Sequence[Heartbeat]:
        """The time of the own write, by storage's clock, says how old the other heartbeats are."""
        name, heard, ended = f"{self._prefix}{own.instance}", list[Heartbeat](), list[str]()
        with translate_errors(f"write {name}"):
            blob = self._container.get_blob_client(name)
            written = await blob.upload_blob(b"", overwrite=True, metadata=_metadata(own), **NO_TRACE)
        with translate_errors(f"list {self._prefix}"):
            listed = self._container.list_blobs(name_starts_with=self._prefix, include=["metadata"], **NO_TRACE)
            async for other in listed:
                silent = max(0.0, (written["last_modified"] - other.last_modified).total_seconds())
                if silent > FORGOTTEN_AFTER_SECONDS:
                    ended.append(other.name)
                elif silent <= MAX_SILENT_SECONDS and other.name != name:
                    heard.append(_heartbeat(other.name.removeprefix(self._prefix), other.metadata or {}).after(silent))
        for ended_name in ended[:MAX_DELETIONS]:
            # One that cannot be deleted, such as one under a legal hold, must not hide those that are alive.
            with suppress(GatewayError), translate_errors(f"delete {ended_name}"):
                await self._container.delete_blob(ended_name, **NO_TRACE)
        return heard


def _metadata(own: Heartbeat) -> dict[str, str]:
    ages = sorted(own.ages, reverse=True)[:MAX_AGES]
    metadata = {"ages": ",".join(f"{age:.1f}" for age in ages)} if ages else {}
    refused = {"since_refusal": f"{own.since_refusal:.1f}", "rate": f"{own.rate_left:.3f}"}
    return metadata | (refused if own.since_refusal < math.inf else {})


def _heartbeat(instance: str, metadata: Mapping[str, str]) -> Heartbeat:
    """What the metadata says; metadata that a person changed beyond sense counts as an instance without releases."""
    try:
        ages = tuple(float(age) for age in (metadata.get("ages") or "").split(",") if age)
        since_refusal, rate_left = (float(metadata.get(name) or "inf") for name in ("since_refusal", "rate"))
        # A comparison with NaN is false, and a refusal in the future would count until then.
        if rate_left >= MIN_READS_PER_SECOND and since_refusal >= 0.0 and all(0.0 <= age < math.inf for age in ages):
            return Heartbeat(instance, ages, since_refusal, rate_left)
        return Heartbeat(instance)
    except ValueError:
        return Heartbeat(instance)
