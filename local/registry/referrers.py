"""The referrers API of OCI 1.1, as Azure Container Registry has it; it can be switched off, as older registries are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from local.registry.repository import Repository, error

INDEX = "application/vnd.oci.image.index.v1+json"


class Referrers:
    """Lists the manifests whose ``subject`` is a digest."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self._repositories = repositories
        self.enabled = True
        self.page_size = 1000

    def routes(self, name: str) -> list[web.RouteDef]:
        """Return the route, and the switch of the stand-in."""
        return [
            web.get(rf"/v2/{name}/referrers/{{digest}}", self._list),
            web.put("/_local/referrers", self._switch),
        ]

    async def _switch(self, request: web.Request) -> web.Response:
        self.enabled = bool(await request.json())
        return web.Response(status=204)

    def subject_header(self, data: bytes) -> dict[str, str]:
        """The header that says to a pusher that the registry lists what it pushed."""
        subject = _subject_of(json.loads(data))
        return {"OCI-Subject": subject} if subject and self.enabled else {}

    async def _list(self, request: web.Request) -> web.Response:
        digest, wanted = request.match_info["digest"], request.query.get("artifactType")
        if not self.enabled:
            return error("NAME_UNKNOWN", digest)
        found = list(self._of(self._repositories.get(request.match_info["name"], Repository()), digest))
        shown = [entry for entry in found if wanted in (None, entry["artifactType"])]
        start = int(request.query.get("last", "0"))
        end = start + self.page_size
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": shown[start:end]}
        headers = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
        if end < len(shown):
            headers["Link"] = f'<{request.rel_url.update_query(last=str(end))}>; rel="next"'
        return web.Response(text=json.dumps(body), headers={**headers, "Content-Type": INDEX})

    def _of(self, repository: Repository, digest: str) -> Iterator[dict[str, Any]]:
        for name, (media_type, data) in repository.manifests.items():
            manifest = json.loads(data)
            if _subject_of(manifest) == digest:
                kind = manifest.get("artifactType") or (manifest.get("config") or {}).get("mediaType")
                yield {
                    "mediaType": media_type,
                    "digest": name,
                    "size": len(data),
                    "artifactType": kind,
                    "annotations": manifest.get("annotations") or {},
                }


def _subject_of(manifest: dict[str, Any]) -> str | None:
    """The digest that a manifest refers to."""
    subject = manifest.get("subject")
    digest = subject.get("digest") if isinstance(subject, dict) else None
    return digest if isinstance(digest, str) else None
