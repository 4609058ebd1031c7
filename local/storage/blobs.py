"""Azure Blob Storage: block and append blobs with metadata, conditions and leases.

Lacks: page blobs, blocks of a block blob, snapshots, versions, tags, tiers, copies, and permissions: any signed-in
client may do everything.
"""

from __future__ import annotations

from aiohttp import web

from local.storage.leases import ACTIONS, allow_write
from local.storage.service import ACCOUNT, StorageHandler, StorageService, element, http_date, page, xml
from local.storage.store import Blob, StorageError

MAX_BLOCKS = 50_000


class Blobs(StorageService):
    """The blob service of the account."""

    name = "blobs"

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of containers and of blobs; names of blobs may contain slashes."""
        return [
            self.clock_route(),
            web.route("*", f"/{ACCOUNT}/{{container}}", self._container),
            web.route("*", f"/{ACCOUNT}/{{container}}/{{blob:.+}}", self._blob),
        ]

    async def _container(self, request: web.Request) -> web.Response:
        return await self.respond(request, self._container_response)

    def _container_response(self, request: web.Request) -> web.Response:
        container = request.match_info["container"]
        if request.query.get("comp") == "list":
            return self._list(request, container)
        if request.method == "PUT":
            self.store.create_container(container)
            return web.Response(status=201)
        self.store.need_container(container)
        return web.Response(headers={"Last-Modified": http_date(self.store.clock()), "ETag": '"0x1"'})

    def _list(self, request: web.Request, container: str) -> web.Response:
        blobs = self.store.list_blobs(container, request.query.get("prefix", ""))
        listed, marker = page(request, blobs)
        elements = "".join(_blob_element(name, blob) for name, blob in listed)
        return xml(
            f'<EnumerationResults ContainerName="{container}"><Blobs>{elements}</Blobs>{marker}</EnumerationResults>'
        )

    async def _blob(self, request: web.Request) -> web.Response:
        comp = request.query.get("comp")
        if request.method in ("GET", "HEAD"):
            return await self.respond(request, self._get)
        if request.method == "DELETE":
            return await self.respond(request, self._delete)
        handlers: dict[str | None, StorageHandler] = {
            None: self._put,
            "lease": self._lease,
            "appendblock": self._append,
            "metadata": self._set_metadata,
        }
        return await self.respond(request, handlers.get(comp, self._unknown))

    def _unknown(self, request: web.Request) -> web.Response:
        raise StorageError(400, "InvalidQueryParameterValue")

    def _get(self, request: web.Request) -> web.Response:
        blob = self.store.need_blob(*_path(request))
        headers = _headers(blob, self.store.clock())
        byte_range = request.headers.get("x-ms-range") or request.headers.get("Range")
        if byte_range is None or request.method == "HEAD":
            return web.Response(body=blob.data, headers=headers)
        first, _, last = byte_range.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(blob.data)), len(blob.data) - 1)
        if start >= len(blob.data):
            raise StorageError(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{end}/{len(blob.data)}"
        return web.Response(status=206, body=blob.data[start : end + 1], headers=headers)

    async def _put(self, request: web.Request) -> web.Response:
        container, name = _path(request)
        blob = self.store.blob(container, name)
        self._allow(request, blob, exists="BlobAlreadyExists")
        kind = request.headers.get("x-ms-blob-type", "BlockBlob")
        blob = blob or Blob(b"", kind, {}, "", 0.0)
        blob.data, blob.kind, blob.metadata, blob.blocks = await request.read(), kind, _metadata(request), 0
        self.store.save(container, name, blob)
        return web.Response(status=201, headers=_headers(blob, self.store.clock()))

    async def _append(self, request: web.Request) -> web.Response:
        container, name = _path(request)
        blob = self.store.need_blob(container, name)
        self._allow(request, blob)
        if blob.kind != "AppendBlob" or blob.blocks >= MAX_BLOCKS:
            raise StorageError(409, "InvalidBlobType" if blob.kind != "AppendBlob" else "BlockCountExceedsLimit")
        offset = len(blob.data)
        blob.data, blob.blocks = blob.data + await request.read(), blob.blocks + 1
        self.store.save(container, name, blob)
        headers = {"x-ms-blob-append-offset": str(offset), "x-ms-blob-committed-block-count": str(blob.blocks)}
        return web.Response(status=201, headers=_headers(blob, self.store.clock()) | headers)

    def _set_metadata(self, request: web.Request) -> web.Response:
        container, name = _path(request)
        blob = self.store.need_blob(container, name)
        self._allow(request, blob)
        blob.metadata = _metadata(request)
        self.store.save(container, name, blob)
        return web.Response(headers=_headers(blob, self.store.clock()))

    def _delete(self, request: web.Request) -> web.Response:
        container, name = _path(request)
        self._allow(request, self.store.need_blob(container, name))
        self.store.delete_blob(container, name)
        return web.Response(status=202)

    def _allow(self, request: web.Request, blob: Blob | None, exists: str = "ConditionNotMet") -> None:
        allow_write(request.headers, blob, self.store.clock(), exists)

    def _lease(self, request: web.Request) -> web.Response:
        container, name = _path(request)
        blob = self.store.need_blob(container, name)
        status, action = ACTIONS[request.headers.get("x-ms-lease-action", "")]
        action(request.headers, blob, self.store.clock())
        self.store.save(container, name, blob, touch=False)
        headers = {"ETag": blob.etag, "Last-Modified": http_date(blob.modified)}
        return web.Response(status=status, headers=headers | ({"x-ms-lease-id": blob.lease} if blob.lease else {}))


def _path(request: web.Request) -> tuple[str, str]:
    return request.match_info["container"], request.match_info["blob"]


def _metadata(request: web.Request) -> dict[str, str]:
    prefix = "x-ms-meta-"
    return {key[len(prefix) :]: value for key, value in request.headers.items() if key.lower().startswith(prefix)}


def _headers(blob: Blob, now: float) -> dict[str, str]:
    lease = {"x-ms-lease-state": "leased" if blob.leased(now) else "available"}
    properties = {"ETag": blob.etag, "Last-Modified": http_date(blob.modified), "x-ms-blob-type": blob.kind}
    return properties | lease | {f"x-ms-meta-{key}": value for key, value in blob.metadata.items()}


def _blob_element(name: str, blob: Blob) -> str:
    metadata = "".join(element(key, value) for key, value in blob.metadata.items())
    properties = (
        element("Etag", blob.etag.strip('"'))
        + element("Last-Modified", http_date(blob.modified))
        + element("Content-Length", len(blob.data))
        + element("BlobType", blob.kind)
    )
    return f"<Blob>{element('Name', name)}<Properties>{properties}</Properties><Metadata>{metadata}</Metadata></Blob>"
