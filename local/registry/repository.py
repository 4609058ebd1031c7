"""A repository's content, and the responses of the distribution specification."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ERROR_STATUS = {"BLOB_UNKNOWN": 404, "MANIFEST_UNKNOWN": 404, "NAME_UNKNOWN": 404, "BLOB_UPLOAD_UNKNOWN": 404}
"""HTTP statuses of the specification's error codes; all others are 400."""


def digest_of(data: bytes) -> str:
    """Return the digest of content."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Repository:
    """Blobs, manifests and tags of a repository."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Digest -> media type and bytes."""
    tags: dict[str, str] = field(default_factory=dict)
    tagged_at: dict[str, float] = field(default_factory=dict)


def missing_digests(manifest: dict[str, Any], repository: Repository) -> list[str]:
    """Return the digests in a manifest that the repository does not have.

    BuildKit's cache is an index that names blobs; layers with ``urls`` are stored elsewhere.
    """
    descriptors = (manifest.get("config"), *manifest.get("layers", []), *manifest.get("manifests", []))
    digests = [descriptor["digest"] for descriptor in descriptors if descriptor and not descriptor.get("urls")]
    return [digest for digest in digests if digest not in repository.blobs and digest not in repository.manifests]


def created(location: str, digest: str) -> web.Response:
    """Return the response to stored content."""
    return web.Response(status=201, headers={"Location": location, "Docker-Content-Digest": digest})


def error(code: str, detail: object) -> web.Response:
    """Return an error response."""
    message = code.lower().replace("_", " ")
    body = {"errors": [{"code": code, "message": message, "detail": detail}]}
    return web.json_response(body, status=ERROR_STATUS.get(code, 400))
