"""The journal on Azure append blobs: ``journal/<date>.jsonl``, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.clock import Clock
from handlers.gateways.storage.account import StorageAccount, error_code, translate_errors
from handlers.gateways.storage.state_store import CONTAINER
from handlers.masking.visible import visible_json

MAX_BLOCK_BYTES = 1024**2
"""Of one append: the service takes four times as much, but aiohttp would block the event loop for it."""
MAX_UNREADABLE_BYTES = 200
"""Shown of a line that cannot be read."""
BLOB_FULL = "BlockCountExceedsLimit"
"""An append blob takes 50,000 blocks; a busier day goes on in ``<date>.1.jsonl``."""


class BlobJournal:
    """See the Journal protocol; a line whose answer was lost may appear twice."""

    def __init__(self, account: StorageAccount, clock: Clock, container: str = CONTAINER) -> None:
        self._container = account.container(container)
        self._clock = clock
        self._part = 0

    async def append(self, *lines: Mapping[str, object]) -> None:
        block = b""
        with translate_errors("write the journal"):
            for line in lines:
                data = encode_line(line)
                if block and len(block) + len(data) > MAX_BLOCK_BYTES:
                    await self._append(block)
                    block = b""
                block += data
            if block:
                await self._append(block)

    async def _append(self, data: bytes) -> None:
        blob = self._container.get_blob_client(_blob_name(self._clock.now(), self._part))
        try:
            await blob.append_block(data, **NO_TRACE)
        except ResourceNotFoundError as error:
            with suppress(ResourceExistsError):
                if error_code(error) == "ContainerNotFound":
                    await self._container.create_container(**NO_TRACE)
            with suppress(ResourceExistsError):
                await blob.create_append_blob(match_condition=MatchConditions.IfMissing, **NO_TRACE)
            await blob.append_block(data, **NO_TRACE)
        except HttpResponseError as error:
            if error_code(error) != BLOB_FULL:
                raise
            self._part += 1
            await self._append(data)

    async def read_day(self, day: datetime) -> Sequence[Mapping[str, object]]:
        lines: list[Mapping[str, object]] = []
        with translate_errors("read the journal"):
            for part in range(1000):
                try:
                    stream = await self._container.download_blob(_blob_name(day, part))
                except ResourceNotFoundError:
                    break
                lines += [_decode_line(line) for line in (await stream.readall()).splitlines() if line]
        return lines


def _decode_line(data: bytes) -> Mapping[str, object]:
    """A line as it was written; an unreadable one, cut off or written by a person, hides no other line of the day."""
    try:
        line = json.loads(data)
    except (ValueError, RecursionError):
        line = None
    return line if isinstance(line, dict) else {"unreadable": data[:MAX_UNREADABLE_BYTES].decode("utf-8", "replace")}


def encode_line(line: Mapping[str, object]) -> bytes:
    """A line as it is stored, with JSON's escapes for what a terminal acts on and for lone surrogates."""
    return (visible_json(json.dumps(line, default=str, ensure_ascii=False)) + "\n").encode()


def _blob_name(day: datetime, part: int) -> str:
    return f"journal/{day:%Y-%m-%d}{f'.{part}' if part else ''}.jsonl"
