"""Checks in the registry whether Foundry could pull and run an image, by containerd's rules for linux/amd64."""

from __future__ import annotations

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


async def pull_error(registry_url: str | None, image: str) -> str | None:
    """Return why the image cannot run, or None; without a registry every image can."""
    if registry_url is None:
        return None
    path, _, reference = image.partition("@") if "@" in image else image.rpartition(":")
    base = f"{registry_url}/v2/{path.partition('/')[2]}"
    try:
        async with ClientSession() as session:
            return await _pull_error(session, base, reference, MAX_DEPTH)
    except ClientError as error:
        return f"the registry cannot be reached: {error}"
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return f"the image cannot be read: {error}"


async def _pull_error(session: ClientSession, base: str, reference: str, depth: int) -> str | None:
    async with session.get(f"{base}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES}) as response:
        if response.status != 200:
            return f"manifest {reference} is unknown"
        manifest = await response.json(content_type=None)
    if "manifests" in manifest:
        return await _index_error(session, base, manifest["manifests"], depth)
    async with session.get(f"{base}/blobs/{manifest['config']['digest']}") as response:
        config = await response.json(content_type=None)
    return None if _is_supported(*_platform(config)) else WRONG_IMAGE


async def _index_error(session: ClientSession, base: str, children: list[Any], depth: int) -> str | None:
    """A child without a platform has that of its configuration, or is an index itself."""
    for child in children if depth else ():
        platform = _platform(child.get("platform"))
        if all(platform) and not _is_supported(*platform):
            continue
        if await _pull_error(session, base, child["digest"], depth - 1) is None:
            return None
    return WRONG_INDEX


def _platform(value: object) -> tuple[str, str]:
    """Return operating system and architecture in lower case, empty where they are missing."""
    named = value if isinstance(value, dict) else {}
    return str(named.get("os") or "").lower(), str(named.get("architecture") or "").lower()


def _is_supported(os: str, architecture: str) -> bool:
    return bool(os or architecture) and os in ("linux", "") and architecture in AMD64
