"""The journal on Azure append blobs: ``journal/<date>.jsonl``, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.clock import Clock
from handlers.gateways.interfaces import NewLines
from handlers.gateways.storage.account import StorageAccount, error_code, translate_errors
from handlers.gateways.storage.state_store import CONTAINER
from handlers.masking.visible import visible_json

FOLDER, SUFFIX = "journal/", ".jsonl"
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
        self._day = ""
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
        day = f"{self._clock.now():%Y-%m-%d}"
        if day != self._day:
            self._day, self._part = day, 0
        part = self._part
        blob = self._container.get_blob_client(f"{FOLDER}{day}{f'.{part}' if part else ''}{SUFFIX}")
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
            if self._day == day:
                self._part = max(self._part, part + 1)
            await self._append(data)

    async def read_day(self, day: datetime, containing: Collection[str] = ()) -> Sequence[Mapping[str, object]]:
        texts = [stored_text(text) for text in containing]
        lines: list[Mapping[str, object]] = []
        with translate_errors("read the journal"):
            for name in await self._parts(day):
                data = await self._read(name)
                lines += [
                    _decode_line(line) for line in _lines(data) if not texts or any(text in line for text in texts)
                ]
        return lines

    async def end(self, day: datetime) -> Mapping[str, int]:
        with translate_errors("read the journal"):
            return await self._parts(day)

    async def read_new(self, day: datetime, position: Mapping[str, int]) -> NewLines:
        lines, reached = list[Mapping[str, object]](), dict(position)
        with translate_errors("read the journal"):
            for name, size in (await self._parts(day)).items():
                start = position.get(name, 0)
                if size > start:
                    data = await self._read(name, offset=start)
                    complete = data[: data.rfind(b"\n") + 1]
                    lines += [_decode_line(line) for line in _lines(complete)]
                    reached[name] = start + len(complete)
        return NewLines(lines, reached)

    async def _parts(self, day: datetime) -> Mapping[str, int]:
        """The blobs of a day and their sizes, in the order in which they were filled; the first ones may be missing."""
        sizes: dict[str, int] = {}
        with suppress(ResourceNotFoundError):
            async for blob in self._container.list_blobs(name_starts_with=f"{FOLDER}{day:%Y-%m-%d}.", **NO_TRACE):
                sizes[blob.name] = blob.size
        return {name: sizes[name] for name in sorted(sizes, key=_part_number)}

    async def _read(self, name: str, offset: int | None = None) -> bytes:
        try:
            stream = await self._container.download_blob(name, offset=offset, **NO_TRACE)
            data: bytes = await stream.readall()
        except ResourceNotFoundError:
            return b""  # a retention rule deleted it meanwhile
        return data


def stored_text(text: str) -> bytes:
    """A text as it stands within a stored line."""
    return visible_json(json.dumps(text, ensure_ascii=False)[1:-1]).encode()


def _lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line.strip()]


def _part_number(name: str) -> int:
    number = name.removesuffix(SUFFIX).rpartition(".")[2]
    return int(number) if number.isdecimal() else 0


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
