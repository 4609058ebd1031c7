"""Whether the platform could pull an image: asked of the registry that was pushed to."""

from __future__ import annotations

from aiohttp import ClientError, ClientSession

ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


async def image_problem(registry_url: str | None, image: str) -> str | None:
    """Why the image cannot run, or None; without a registry every image can."""
    if registry_url is None:
        return None
    path, _, reference = image.partition("@") if "@" in image else image.rpartition(":")
    base = f"{registry_url}/v2/{path.partition('/')[2]}"
    try:
        async with ClientSession() as session:
            return await _problem(session, base, reference)
    except ClientError as error:
        return f"the registry cannot be reached: {error}"


async def _problem(session: ClientSession, base: str, reference: str) -> str | None:
    async with session.get(f"{base}/manifests/{reference}", headers={"Accept": ACCEPTED}) as answered:
        if answered.status != 200:
            return f"manifest {reference} is unknown"
        manifest = await answered.json(content_type=None)
    if "manifests" in manifest:
        platforms = [child.get("platform") or {} for child in manifest["manifests"]]
        return None if any(map(_runs, platforms)) else "the index has no linux/amd64 image"
    async with session.get(f"{base}/blobs/{manifest['config']['digest']}") as answered:
        config = await answered.json(content_type=None)
    return None if _runs(config) else "the image is not built for linux/amd64"


def _runs(platform: dict[str, str]) -> bool:
    return (platform.get("os"), platform.get("architecture")) == ("linux", "amd64")
