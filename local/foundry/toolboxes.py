"""Toolboxes: immutable versions, and a default version that is the newest until it is set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from aiohttp import web

from local.foundry.json import page
from local.foundry.state import FoundryError, Json, Project
from local.stand_in import Handler


class Toolboxes:
    """Routes below ``/toolboxes``."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self, base: str, wrap: Callable[[Handler], Handler]) -> list[web.RouteDef]:
        """Return the operations of azure-ai-projects; the MCP endpoint is missing."""
        toolbox, versions = f"{base}/{{toolbox}}", f"{base}/{{toolbox}}/versions"
        return [
            web.get(toolbox, wrap(self._get)),
            web.patch(toolbox, wrap(self._update)),
            web.delete(toolbox, wrap(self._delete)),
            web.post(versions, wrap(self._create)),
            web.get(versions, wrap(self._list)),
            web.get(f"{versions}/{{version}}", wrap(self._get_version)),
            web.delete(f"{versions}/{{version}}", wrap(self._delete_version)),
        ]

    def _toolbox(self, request: web.Request) -> Json:
        name = request.match_info["toolbox"]
        if name not in self._project.toolboxes:
            raise FoundryError(404, "not_found", f"Toolbox '{name}' not found")
        return self._project.toolboxes[name]

    def _version(self, request: web.Request) -> Json:
        number = request.match_info["version"]
        for version in self._toolbox(request)["versions"]:
            if version["version"] == number:
                found: Json = version
                return found
        raise FoundryError(404, "not_found", f"the toolbox has no version {number}")

    async def _create(self, request: web.Request) -> web.Response:
        name, body = request.match_info["toolbox"], await request.json()
        self._check_tools(body.get("tools") or [])
        toolbox = self._project.toolboxes.setdefault(name, {"versions": [], "last_number": 0, "default": None})
        toolbox["last_number"] += 1
        version: Json = {
            "object": "toolbox.version",
            "id": f"{_id(name)}:{toolbox['last_number']}",
            "name": name,
            "version": str(toolbox["last_number"]),
            "metadata": body.get("metadata") or {},
            "description": body.get("description") or "",
            "tools": body.get("tools") or [],
            "created_at": int(self._project.clock()),
        }
        toolbox["versions"].append(version)
        return web.json_response(version)

    def _check_tools(self, tools: list[Json]) -> None:
        for index, tool in enumerate(tools):
            if tool.get("type") in self._project.provisioning.disabled_tools:
                message = f"Tool type '{tool['type']}' is not enabled for this subscription."
                raise FoundryError(400, "invalid_payload", message, param=f"tools[{index}].type")

    async def _list(self, request: web.Request) -> web.Response:
        return page(request, self._toolbox(request)["versions"])

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(_toolbox_json(request.match_info["toolbox"], self._toolbox(request)))

    async def _update(self, request: web.Request) -> web.Response:
        toolbox, default = self._toolbox(request), str((await request.json()).get("default_version", ""))
        if default not in [version["version"] for version in toolbox["versions"]]:
            raise FoundryError(400, "invalid_request", f"the toolbox has no version {default}")
        toolbox["default"] = default
        return web.json_response(_toolbox_json(request.match_info["toolbox"], toolbox))

    async def _delete(self, request: web.Request) -> web.Response:
        self._toolbox(request)
        del self._project.toolboxes[request.match_info["toolbox"]]
        return web.Response(status=204)

    async def _get_version(self, request: web.Request) -> web.Response:
        return web.json_response(self._version(request))

    async def _delete_version(self, request: web.Request) -> web.Response:
        self._toolbox(request)["versions"].remove(self._version(request))
        return web.Response(status=204)


def _toolbox_json(name: str, toolbox: Json) -> Json:
    default = toolbox["default"] or toolbox["versions"][-1]["version"]
    return {"object": "toolbox", "id": _id(name), "name": name, "default_version": default}


def _id(name: str) -> str:
    return f"toolbox_{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}"
