"""Downloads the layers of an image from the stack's registry."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from local.agents.unpack import Layer
from local.foundry.pull import PulledImage

MAX_LAYER_BYTES = 512 * 1024**2
MAX_LAYERS = 127
"""As docker has it."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ImageError(Exception):
    """An image cannot run on this machine; the message says why."""


async def download_layers(image: PulledImage, folder: Path, max_bytes: int = MAX_LAYER_BYTES) -> list[Layer]:
    """Download every layer into the folder and check its size and digest."""
    stated = image.manifest.get("layers")
    descriptors: list[Any] = stated if isinstance(stated, list) else []
    if len(descriptors) > MAX_LAYERS:
        raise ImageError(f"the image has more than {MAX_LAYERS} layers")
    content_digests = _content_digests(image.config, len(descriptors))
    layers = []
    async with ClientSession() as session:
        for index, descriptor in enumerate(descriptors):
            digest, size = _stated(descriptor, max_bytes)
            layer = Layer(folder / f"layer-{index}", digest, content_digests[index])
            try:
                await _download(session, f"{image.base}/blobs/{digest}", layer, size)
            except ClientError as error:
                raise ImageError(f"layer {digest} cannot be read from the registry: {error}") from error
            layers.append(layer)
    return layers


def _stated(descriptor: Any, max_bytes: int) -> tuple[str, int]:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    size = descriptor.get("size") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise ImageError("the manifest has a layer without a digest or a size")
    if size > max_bytes:
        raise ImageError(f"layer {digest} has {size:,} bytes: the local Foundry takes {max_bytes // 1024**2} MB")
    return digest, size


async def _download(session: ClientSession, url: str, layer: Layer, size: int) -> None:
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        if response.status != 200:
            raise ImageError(f"layer {layer.digest} is not in the registry")
        received, content = 0, hashlib.sha256()
        with layer.file.open("wb") as file:
            async for chunk in response.content.iter_chunked(256 * 1024):
                received += len(chunk)
                if received > size:
                    break
                content.update(chunk)
                file.write(chunk)
    if received < size:
        raise ImageError(f"layer {layer.digest} is truncated: {received:,} of {size:,} bytes")
    if received > size or f"sha256:{content.hexdigest()}" != layer.digest:
        raise ImageError(f"layer {layer.digest} has other content than its manifest names")


def _content_digests(config: Any, count: int) -> list[str | None]:
    rootfs = config.get("rootfs") if isinstance(config, dict) else None
    named = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(named, list) or len(named) != count:
        return [None] * count
    return [digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else None for digest in named]
