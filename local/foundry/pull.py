"""Checks in the registry whether Foundry could pull and run an image."""

from __future__ import annotations

from aiohttp import ClientError, ClientSession

MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


async def pull_error(registry_url: str | None, image: str) -> str | None:
    """Return why the image cannot run, or None; without a registry every image can."""
    if registry_url is None:
        return None
    path, _, reference = image.partition("@") if "@" in image else image.rpartition(":")
    base = f"{registry_url}/v2/{path.partition('/')[2]}"
    try:
        async with ClientSession() as session:
            return await _pull_error(session, base, reference)
    except ClientError as error:
        return f"the registry cannot be reached: {error}"


async def _pull_error(session: ClientSession, base: str, reference: str) -> str | None:
    async with session.get(f"{base}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES}) as response:
        if response.status != 200:
            return f"manifest {reference} is unknown"
        manifest = await response.json(content_type=None)
    if "manifests" in manifest:
        platforms = [child.get("platform") or {} for child in manifest["manifests"]]
        return None if any(map(_is_supported, platforms)) else "the index has no linux/amd64 image"
    async with session.get(f"{base}/blobs/{manifest['config']['digest']}") as response:
        config = await response.json(content_type=None)
    return None if _is_supported(config) else "the image is not built for linux/amd64"


def _is_supported(platform: dict[str, str]) -> bool:
    return (platform.get("os"), platform.get("architecture")) == ("linux", "amd64")
