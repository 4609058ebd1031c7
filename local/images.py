"""Builds tiny real images without Docker and pushes them to any OCI registry."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin

from aiohttp import ClientSession

from local.registry.repository import digest_of

Kind = Literal["image", "arm64", "index", "chart", "signature", "cache"]
OCI = "application/vnd.oci.image"
SAMPLE_AGENT = Path(__file__).parent / "agents" / "sample" / "main.py"


@dataclass
class Artifact:
    """A manifest, with the blobs and child manifests that must be pushed before it."""

    media_type: str
    manifest: bytes
    blobs: list[bytes] = field(default_factory=list)
    children: list[Artifact] = field(default_factory=list)

    @property
    def descriptor(self) -> dict[str, Any]:
        """The descriptor with which an index refers to this manifest."""
        return {"mediaType": self.media_type, "digest": digest_of(self.manifest), "size": len(self.manifest)}


def build(
    kind: Kind, salt: str, variables: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
) -> Artifact:
    """Build an artifact; the same arguments always give the same digest. Variables and labels are those of images."""
    if kind == "index":
        children = [_image("amd64", salt, labels=labels), _image("arm64", salt, labels=labels)]
        manifests = [
            child.descriptor | {"platform": {"os": "linux", "architecture": architecture}}
            for child, architecture in zip(children, ("amd64", "arm64"), strict=True)
        ]
        return _artifact(f"{OCI}.index.v1+json", {"manifests": manifests}, [], children)
    if kind == "chart":
        return _with_layer(b"{}", "application/vnd.cncf.helm.config.v1+json", b"chart " + salt.encode())
    if kind == "cache":
        return _cache(salt)
    if kind == "signature":
        return _with_layer(b"{}", "application/vnd.dev.cosign.artifact.sig.v1+json", b"signature " + salt.encode())
    return _image("arm64" if kind == "arm64" else "amd64", salt, variables, labels)


def _cache(salt: str) -> Artifact:
    """What `docker buildx build --cache-to type=registry` pushes: an index of blobs, the last with the records."""
    blobs = {f"{OCI}.layer.v1.tar+gzip": salt.encode(), "application/vnd.buildkit.cacheconfig.v0": b"{}"}
    entries = [
        {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)} for media_type, blob in blobs.items()
    ]
    return _artifact(f"{OCI}.index.v1+json", {"manifests": entries}, list(blobs.values()), [])


def _image(
    architecture: str,
    salt: str,
    variables: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Artifact:
    """An agent on Microsoft's server for agents, for a Python that has this server."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in (("app/main.py", SAMPLE_AGENT.read_bytes()), ("app/salt", salt.encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {
            "Cmd": ["python", "/app/main.py"],
            "Env": [f"{name}={value}" for name, value in (variables or {}).items()],
            **({"Labels": labels} if labels else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar.getvalue())]},
    }
    return _with_layer(json.dumps(config).encode(), f"{OCI}.config.v1+json", _gzip(tar.getvalue()))


def _gzip(data: bytes) -> bytes:
    """Wrap data as gzip in stored blocks (RFC 1951, 3.2.4): its digest does not depend on the version of zlib."""
    chunks = [data[start : start + 0xFFFF] for start in range(0, len(data), 0xFFFF)]
    blocks = [
        struct.pack("<BHH", number == len(chunks), len(chunk), len(chunk) ^ 0xFFFF) + chunk
        for number, chunk in enumerate(chunks, 1)
    ]
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + b"".join(blocks) + struct.pack("<II", zlib.crc32(data), len(data))


def _with_layer(config: bytes, config_type: str, layer: bytes) -> Artifact:
    body = {
        "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": digest_of(layer), "size": len(layer)}],
    }
    return _artifact(f"{OCI}.manifest.v1+json", body, [config, layer], [])


def _artifact(media_type: str, body: dict[str, Any], blobs: list[bytes], children: list[Artifact]) -> Artifact:
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, **body}).encode()
    return Artifact(media_type, manifest, blobs, children)


async def push(
    registry: str,
    repository: str,
    tag: str | None,
    *,
    salt: str = "",
    kind: Kind = "image",
    variables: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Push a tiny artifact over HTTP to ``host:port`` and return its digest; without a tag, push by digest."""
    return await push_artifact(registry, repository, tag, build(kind, salt, variables, labels))


async def push_artifact(registry: str, repository: str, tag: str | None, artifact: Artifact) -> str:
    """Push an artifact with its blobs and children; return its digest."""
    async with ClientSession(raise_for_status=True) as session:
        await _push(session, f"http://{registry}/v2/{repository}", artifact, tag)
    return digest_of(artifact.manifest)


async def _push(session: ClientSession, base: str, artifact: Artifact, tag: str | None) -> None:
    for child in artifact.children:
        await _push(session, base, child, None)
    for blob in artifact.blobs:
        async with session.post(f"{base}/blobs/uploads/") as started:
            upload_url = urljoin(str(started.url), started.headers["Location"])
        async with session.put(upload_url, params={"digest": digest_of(blob)}, data=blob):
            pass
    headers = {"Content-Type": artifact.media_type}
    reference = tag or digest_of(artifact.manifest)
    async with session.put(f"{base}/manifests/{reference}", data=artifact.manifest, headers=headers):
        pass
