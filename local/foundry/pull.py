"""Checks in the registry whether Foundry could pull and run an image, by containerd's rules for linux/amd64."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientSession

MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
MAX_DEPTH = 8
AMD64 = ("amd64", "x86_64", "x86-64", "")
"""Names of the architecture; containerd runs an image that names only this or only the operating system."""
WRONG_INDEX = "the index has no linux/amd64 image"
WRONG_IMAGE = "the image is not built for linux/amd64"


@dataclass(frozen=True)
class PulledImage:
    """The manifest and the configuration of the image that containerd would run; blobs are at ``{base}/blobs/``."""

    base: str
    manifest: dict[str, Any]
    config: Any


class PullError(Exception):
    """An image cannot be pulled, or is not for this platform; the message says why."""


async def pull_error(registry_url: str | None, image: str) -> str | None:
    """Return why the image cannot run, or None; without a registry every image can."""
    try:
        await pull(registry_url, image)
    except PullError as error:
        return str(error)
    return None


async def pull(registry_url: str | None, image: str) -> PulledImage | None:
    """Return the image, without its layers; None without a registry."""
    if registry_url is None:
        return None
    path, _, reference = image.partition("@") if "@" in image else image.rpartition(":")
    base = f"{registry_url}/v2/{path.partition('/')[2]}"
    try:
        async with ClientSession() as session:
            return await _pull(session, base, reference, MAX_DEPTH)
    except ClientError as error:
        raise PullError(f"the registry cannot be reached: {error}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise PullError(f"the image cannot be read: {error}") from error


async def _pull(session: ClientSession, base: str, reference: str, depth: int) -> PulledImage:
    async with session.get(f"{base}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES}) as response:
        if response.status != 200:
            raise PullError(f"manifest {reference} is unknown")
        manifest = await response.json(content_type=None)
    if "manifests" in manifest:
        return await _pull_child(session, base, manifest["manifests"], depth)
    async with session.get(f"{base}/blobs/{manifest['config']['digest']}") as response:
        config = await response.json(content_type=None)
    if not _is_supported(*_platform(config)):
        raise PullError(WRONG_IMAGE)
    return PulledImage(base, manifest, config)


async def _pull_child(session: ClientSession, base: str, children: list[Any], depth: int) -> PulledImage:
    """A child without a platform has that of its configuration, or is an index itself."""
    for child in children if depth else ():
        platform = _platform(child.get("platform"))
        if all(platform) and not _is_supported(*platform):
            continue
        with contextlib.suppress(PullError):
            return await _pull(session, base, child["digest"], depth - 1)
    raise PullError(WRONG_INDEX)


def _platform(value: object) -> tuple[str, str]:
    """Return operating system and architecture in lower case, empty where they are missing."""
    named = value if isinstance(value, dict) else {}
    return str(named.get("os") or "").lower(), str(named.get("architecture") or "").lower()


def _is_supported(os: str, architecture: str) -> bool:
    return bool(os or architecture) and os in ("linux", "") and architecture in AMD64
