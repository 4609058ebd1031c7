"""An OCI registry for docker, skopeo and oras; it publishes an event for each push, as Azure Container Registry does.

Lacks: permissions, ACR's routes except those in ``acr``, and persistence: images are lost with the process.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.registry.acr import AcrApi
from local.registry.events import registry_event
from local.registry.referrers import Referrers
from local.registry.repository import Repository, created, digest_of, error, missing_digests
from local.stand_in import StandIn

NAME = r"{name:[a-z0-9]+(?:(?:[._/-]|%2F)+[a-z0-9]+)*}"  # azure-containerregistry writes the slash as %2F
OCTET_STREAM = "application/octet-stream"
Publish = Callable[[dict[str, Any]], Awaitable[None]]


class Registry(StandIn):
    """A registry with the given resource name."""

    name = "registry"
    max_body = 1024**3

    def __init__(self, registry: str = "demo", on_event: Publish | None = None) -> None:
        super().__init__()
        self.registry = registry
        self.repositories: dict[str, Repository] = {}
        self._uploads: dict[str, bytearray] = {}
        self._on_event = on_event
        self._acr = AcrApi(self.repositories)
        self.referrers = Referrers(self.repositories)

    def app(self) -> web.Application:
        """Make the application, which requires a token on the TLS address."""
        app = super().app()
        app.middlewares.append(self._acr.challenge)
        return app

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints of the distribution specification and of ACR."""
        return [
            *self._acr.routes(),
            *self.referrers.routes(NAME),
            web.get("/v2/", self._base),
            web.get("/v2/_catalog", self._catalog),
            web.post(rf"/v2/{NAME}/blobs/uploads/", self._start),
            web.patch(rf"/v2/{NAME}/blobs/uploads/{{upload}}", self._append),
            web.put(rf"/v2/{NAME}/blobs/uploads/{{upload}}", self._finish),
            web.get(rf"/v2/{NAME}/blobs/{{digest}}", self._blob),
            web.put(rf"/v2/{NAME}/manifests/{{reference}}", self._put_manifest),
            web.get(rf"/v2/{NAME}/manifests/{{reference}}", self._manifest),
            web.delete(rf"/v2/{NAME}/manifests/{{reference}}", self._delete_manifest),
            web.get(rf"/v2/{NAME}/tags/list", self._tags),
        ]

    async def _base(self, _: web.Request) -> web.Response:
        return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def _catalog(self, _: web.Request) -> web.Response:
        return web.json_response({"repositories": sorted(self.repositories)})

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.repositories:
            return error("NAME_UNKNOWN", name)
        return web.json_response({"name": name, "tags": sorted(self.repositories[name].tags)})

    async def _start(self, request: web.Request) -> web.Response:
        name, mount = request.match_info["name"], request.query.get("mount", "")
        repository = self.repositories.setdefault(name, Repository())
        sources = (source for source in self.repositories.values() if mount in source.blobs)
        mounted = next((source.blobs[mount] for source in sources), None)
        if mounted is not None:
            repository.blobs[mount] = mounted
            return created(f"/v2/{name}/blobs/{mount}", mount)
        data = await request.read()
        if "digest" in request.query:
            return self._commit(name, data, request.query["digest"])
        upload = str(uuid.uuid4())
        self._uploads[upload] = bytearray(data)
        return self._uploading(name, upload)

    async def _append(self, request: web.Request) -> web.Response:
        upload = request.match_info["upload"]
        if upload not in self._uploads:
            return error("BLOB_UPLOAD_UNKNOWN", upload)
        async for chunk in request.content.iter_any():
            self._uploads[upload] += chunk
        return self._uploading(request.match_info["name"], upload)

    def _uploading(self, name: str, upload: str) -> web.Response:
        last = max(len(self._uploads[upload]) - 1, 0)
        headers = {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Docker-Upload-UUID": upload, "Range": f"0-{last}"}
        return web.Response(status=202, headers=headers)

    async def _finish(self, request: web.Request) -> web.Response:
        data = self._uploads.pop(request.match_info["upload"], None)
        if data is None:
            return error("BLOB_UPLOAD_UNKNOWN", request.match_info["upload"])
        data += await request.read()
        return self._commit(request.match_info["name"], bytes(data), request.query.get("digest", ""))

    def _commit(self, name: str, data: bytes, digest: str) -> web.Response:
        if digest_of(data) != digest:
            return error("DIGEST_INVALID", digest)
        self.repositories[name].blobs[digest] = data
        return created(f"/v2/{name}/blobs/{digest}", digest)

    async def _blob(self, request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        repository = self.repositories.get(request.match_info["name"], Repository())
        if digest not in repository.blobs:
            return error("BLOB_UNKNOWN", digest)
        data, headers = repository.blobs[digest], {"Docker-Content-Digest": digest}
        http_range = request.http_range
        if http_range.start is None and http_range.stop is None:
            return web.Response(body=data, headers=headers, content_type=OCTET_STREAM)
        part = data[http_range]  # azure-containerregistry reads blobs in parts and accepts only a 206
        first = http_range.start or 0
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        return web.Response(status=206, body=part, headers=headers, content_type=OCTET_STREAM)

    async def _put_manifest(self, request: web.Request) -> web.StreamResponse:
        name, reference = request.match_info["name"], request.match_info["reference"]
        data = await request.read()
        repository = self.repositories.setdefault(name, Repository())
        digest = digest_of(data)
        try:
            missing = missing_digests(json.loads(data), repository)
        except (ValueError, AttributeError, KeyError, TypeError):
            return error("MANIFEST_INVALID", reference)
        if missing or (reference.startswith("sha256:") and reference != digest):
            return error("MANIFEST_BLOB_UNKNOWN" if missing else "DIGEST_INVALID", missing or digest)
        repository.manifests[digest] = (request.content_type, data)
        if not reference.startswith("sha256:"):
            repository.tags[reference], repository.tagged_at[reference] = digest, time.time()
        response = created(f"/v2/{name}/manifests/{digest}", digest)
        response.headers.update(self.referrers.subject_header(data))
        await response.prepare(request)
        await response.write_eof()  # as in Azure, the pusher has its response before the event is published
        await self._publish(request, "push", name, digest, None if reference.startswith("sha256:") else reference)
        return response

    async def _manifest(self, request: web.Request) -> web.Response:
        found = self.find(request.match_info["name"], request.match_info["reference"])
        if found is None:
            return error("MANIFEST_UNKNOWN", request.match_info["reference"])
        digest, media_type, data = found
        return web.Response(body=data, headers={"Docker-Content-Digest": digest, "Content-Type": media_type})

    async def _delete_manifest(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = self.find(name, request.match_info["reference"])
        if found is None:
            return error("MANIFEST_UNKNOWN", request.match_info["reference"])
        repository = self.repositories[name]
        await self._publish(request, "delete", name, found[0], None)
        del repository.manifests[found[0]]
        repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != found[0]}
        return web.Response(status=202)

    def find(self, name: str, reference: str) -> tuple[str, str, bytes] | None:
        """Return digest, media type and bytes of a manifest, by tag or digest."""
        repository = self.repositories.get(name, Repository())
        digest = repository.tags.get(reference, reference)
        return (digest, *repository.manifests[digest]) if digest in repository.manifests else None

    async def _publish(self, request: web.Request, action: str, name: str, digest: str, tag: str | None) -> None:
        if self._on_event:
            media_type, data = self.repositories[name].manifests[digest]
            target = {
                "mediaType": media_type,
                "size": len(data),
                "digest": digest,
                "length": len(data),
                "repository": name,
            }
            await self._on_event(registry_event(self.registry, request, action, target | ({"tag": tag} if tag else {})))
