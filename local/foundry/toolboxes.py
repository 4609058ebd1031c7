"""Toolboxes of the Foundry stand-in: immutable versions, and a default that follows the newest until it is moved."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from local.foundry.json import page
from local.foundry.state import Json, Project, Refused
from local.stand_in import Handler


class Toolboxes:
    """The routes below ``/toolboxes``."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self, base: str, answering: Callable[[Handler], Handler]) -> list[web.RouteDef]:
        """Everything that azure-ai-projects asks but the MCP endpoint itself."""
        one, versions = f"{base}/{{toolbox}}", f"{base}/{{toolbox}}/versions"
        return [
            web.get(one, answering(self._get)),
            web.patch(one, answering(self._update)),
            web.post(versions, answering(self._create)),
            web.get(versions, answering(self._list)),
            web.get(f"{versions}/{{version}}", answering(self._get_version)),
            web.delete(f"{versions}/{{version}}", answering(self._delete_version)),
        ]

    def _toolbox(self, request: web.Request) -> Json:
        name = request.match_info["toolbox"]
        if name not in self._project.toolboxes:
            raise Refused(404, "not_found", f"toolbox {name} does not exist")
        return self._project.toolboxes[name]

    def _version(self, request: web.Request) -> Json:
        number = request.match_info["version"]
        found = [one for one in self._toolbox(request)["versions"] if one["version"] == number]
        if not found:
            raise Refused(404, "not_found", f"the toolbox has no version {number}")
        version: Json = found[0]
        return version

    async def _create(self, request: web.Request) -> web.Response:
        name, body = request.match_info["toolbox"], await request.json()
        toolbox = self._project.toolboxes.setdefault(name, {"versions": [], "made": 0, "default": None})
        toolbox["made"] += 1
        made: Json = {
            "id": f"{name}:{toolbox['made']}",
            "name": name,
            "version": str(toolbox["made"]),
            "metadata": body.get("metadata") or {},
            "tools": body.get("tools") or [],
            "created_at": int(self._project.clock()),
        }
        toolbox["versions"].append(made)
        return web.json_response(made)

    async def _list(self, request: web.Request) -> web.Response:
        return page(request, self._toolbox(request)["versions"])

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(_shape(request.match_info["toolbox"], self._toolbox(request)))

    async def _update(self, request: web.Request) -> web.Response:
        toolbox, wanted = self._toolbox(request), str((await request.json()).get("default_version", ""))
        if wanted not in [one["version"] for one in toolbox["versions"]]:
            raise Refused(400, "invalid_request", f"the toolbox has no version {wanted}")
        toolbox["default"] = wanted
        return web.json_response(_shape(request.match_info["toolbox"], toolbox))

    async def _get_version(self, request: web.Request) -> web.Response:
        return web.json_response(self._version(request))

    async def _delete_version(self, request: web.Request) -> web.Response:
        self._toolbox(request)["versions"].remove(self._version(request))
        return web.Response(status=204)


def _shape(name: str, toolbox: Json) -> Json:
    newest = toolbox["versions"][-1]
    default = toolbox["default"] or newest["version"]
    return {"id": name, "name": name, "default_version": default, "versions": {"latest": newest}}
