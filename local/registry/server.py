"""An OCI registry that docker, skopeo and oras push to, and that tells of each push as Azure Container Registry does.

Lacks: rights, ACR's own routes but those of registry_acr, and disk: what was pushed is gone with the process.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.registry.acr import SignIn
from local.registry.events import registry_event
from local.registry.repository import Repository, created, digest_of, error, missing
from local.stand_in import StandIn

NAME = r"{name:[a-z0-9]+(?:(?:[._/-]|%2F)+[a-z0-9]+)*}"  # azure-containerregistry writes the slash as %2F
OCTETS = "application/octet-stream"
Publish = Callable[[dict[str, Any]], Awaitable[None]]


class Registry(StandIn):
    """One registry of the given resource name."""

    name = "registry"
    max_body = 1024**3

    def __init__(self, registry: str = "demo", on_push: Publish | None = None) -> None:
        super().__init__()
        self.registry = registry
        self.repositories: dict[str, Repository] = {}
        self._uploads: dict[str, bytearray] = {}
        self._on_push = on_push
        self._sign_in = SignIn(self)

    def app(self) -> web.Application:
        """The application, which asks for a token where the product reads."""
        app = super().app()
        app.middlewares.append(self._sign_in.challenge)
        return app

    def routes(self) -> list[web.RouteDef]:
        """The distribution specification's end-points."""
        return [
            *self._sign_in.routes(),
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
        mounted = next((one.blobs[mount] for one in self.repositories.values() if mount in one.blobs), None)
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
        where = {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Docker-Upload-UUID": upload, "Range": f"0-{last}"}
        return web.Response(status=202, headers=where)

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
        asked = request.http_range
        if asked.start is None and asked.stop is None:
            return web.Response(body=data, headers=headers, content_type=OCTETS)
        part = data[asked]  # azure-containerregistry reads blobs in parts, and takes nothing but a 206
        first = asked.start or 0
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        return web.Response(status=206, body=part, headers=headers, content_type=OCTETS)

    async def _put_manifest(self, request: web.Request) -> web.StreamResponse:
        name, reference = request.match_info["name"], request.match_info["reference"]
        data = await request.read()
        repository = self.repositories.setdefault(name, Repository())
        digest = digest_of(data)
        try:
            absent = missing(json.loads(data), repository)
        except (ValueError, AttributeError, KeyError, TypeError):
            return error("MANIFEST_INVALID", reference)
        if absent or (reference.startswith("sha256:") and reference != digest):
            return error("MANIFEST_BLOB_UNKNOWN" if absent else "DIGEST_INVALID", absent or digest)
        repository.manifests[digest] = (request.content_type, data)
        if not reference.startswith("sha256:"):
            repository.tags[reference], repository.tagged_at[reference] = digest, time.time()
        response = created(f"/v2/{name}/manifests/{digest}", digest)
        await response.prepare(request)
        await response.write_eof()  # as at Azure, the pusher has its answer before anybody hears of the push
        await self._tell(request, "push", name, digest, None if reference.startswith("sha256:") else reference)
        return response

    async def _manifest(self, request: web.Request) -> web.Response:
        found = self.find(request.match_info["name"], request.match_info["reference"])
        if found is None:
            return error("MANIFEST_UNKNOWN", request.match_info["reference"])
        digest, kind, data = found
        return web.Response(body=data, headers={"Docker-Content-Digest": digest, "Content-Type": kind})

    async def _delete_manifest(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = self.find(name, request.match_info["reference"])
        if found is None:
            return error("MANIFEST_UNKNOWN", request.match_info["reference"])
        repository = self.repositories[name]
        await self._tell(request, "delete", name, found[0], None)
        del repository.manifests[found[0]]
        repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != found[0]}
        return web.Response(status=202)

    def find(self, name: str, reference: str) -> tuple[str, str, bytes] | None:
        """Digest, media type and bytes of a manifest, by tag or digest."""
        repository = self.repositories.get(name, Repository())
        digest = repository.tags.get(reference, reference)
        return (digest, *repository.manifests[digest]) if digest in repository.manifests else None

    async def _tell(self, request: web.Request, action: str, name: str, digest: str, tag: str | None) -> None:
        if self._on_push:
            kind, data = self.repositories[name].manifests[digest]
            target = {"mediaType": kind, "size": len(data), "digest": digest, "length": len(data), "repository": name}
            await self._on_push(registry_event(self.registry, request, action, target | ({"tag": tag} if tag else {})))
