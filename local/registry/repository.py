"""What a repository of the local registry holds, and how the distribution specification answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

STATUS = {"BLOB_UNKNOWN": 404, "MANIFEST_UNKNOWN": 404, "NAME_UNKNOWN": 404, "BLOB_UPLOAD_UNKNOWN": 404}
"""HTTP statuses of the distribution specification's error codes; the others are 400."""


def digest_of(data: bytes) -> str:
    """The content's address."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Repository:
    """What one repository holds."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Digest -> media type and bytes."""
    tags: dict[str, str] = field(default_factory=dict)
    tagged_at: dict[str, float] = field(default_factory=dict)


def missing(manifest: dict[str, Any], repository: Repository) -> list[str]:
    """What a manifest names that is not there."""
    blobs = [one["digest"] for one in (manifest.get("config"), *manifest.get("layers", [])) if one]
    children = [one["digest"] for one in manifest.get("manifests", [])]
    return [one for one in blobs if one not in repository.blobs] + [
        one for one in children if one not in repository.manifests
    ]


def created(location: str, digest: str) -> web.Response:
    """The answer to something stored."""
    return web.Response(status=201, headers={"Location": location, "Docker-Content-Digest": digest})


def error(code: str, detail: object) -> web.Response:
    """A refusal as the distribution specification has it."""
    message = code.lower().replace("_", " ")
    body = {"errors": [{"code": code, "message": message, "detail": detail}]}
    return web.json_response(body, status=STATUS.get(code, 400))
