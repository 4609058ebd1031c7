"""What ``azd up`` and ``azd down`` do: the hooks as processes, and between them azd's own requests, in azd's order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientSession

from local.rehearsal.bicep import Json
from local.rehearsal.resource_manager import GROUP_TYPE

ROOT = Path(__file__).resolve().parents[2]
API = {"api-version": "2021-04-01"}
VARIABLE = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")
HOOKS = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"]


class StoppedError(Exception):
    """azd stopped: a hook ended with an error, or Azure refused; the text is what was printed."""


@dataclass
class Azd:
    """One environment of azd."""

    session: ClientSession
    address: str
    """Of Resource Manager."""
    template: Json
    env: dict[str, str]
    machine: Mapping[str, str]
    """What every process on this machine has, such as PATH and the certificate to trust."""
    printed: str = ""
    """What the hooks printed."""
    _deployments: list[str] = field(default_factory=list)

    @property
    def subscription(self) -> str:
        """The id of its subscription as a path."""
        return f"/subscriptions/{self.env['AZURE_SUBSCRIPTION_ID']}"

    async def up(self) -> None:
        """Package, provision and deploy."""
        await self._hook("prepackage")
        await self._hook("preprovision")
        await self.provision()
        await self._hook("postprovision")
        await self.deploy()
        await self._hook("postdeploy")

    async def down(self) -> None:
        """Delete what the deployment created, after the hook has deleted what lies in other groups."""
        await self._hook("predown")
        for group in await self._own_groups():
            resources = (await self._ask("GET", f"{group}/resources"))["value"]
            for item in resources:
                if item["type"].endswith("/workspaces"):
                    await self._ask("DELETE", item["id"], query={"force": "true"})
            await self._ask("DELETE", group)
        empty: Json = {"template": {"resources": [], "outputs": {}}, "parameters": {}}
        await self._ask("PUT", self._name("down"), {"location": self.env["AZURE_LOCATION"], "properties": empty})

    async def provision(self) -> None:
        """Validate and start a deployment; its outputs become values of the environment."""
        path = self._name("up")
        body = {
            "location": self.env["AZURE_LOCATION"],
            "properties": {"mode": "Incremental", "template": self.template, "parameters": self.parameters()},
            "tags": {"azd-env-name": self.env["AZURE_ENV_NAME"]},
        }
        await self._ask("POST", f"{path}/validate", body)
        deployment = await self._ask("PUT", path, body)
        for name, output in deployment["properties"]["outputs"].items():
            value = output["value"]
            self.env[name] = value if isinstance(value, str) else json.dumps(value)

    async def deploy(self) -> None:
        """Find the function app by its tag, and publish the package to it."""
        condition = "tagName eq 'azd-service-name' and tagValue eq 'slipway'"
        query = {"$filter": condition}
        listed = await self._ask("GET", f"{self._group()}/resources", query=query)
        (site,) = listed["value"]
        await self._ask("GET", site["id"])
        await self._ask("POST", "/api/publish", headers={"X-Site": site["id"]}, query={"RemoteBuild": "true"})
        await self._ask("GET", "/api/deployments/d-1")

    def parameters(self) -> Json:
        """Return main.parameters.json with the values of the environment, of the types that the template asks for."""
        listed = json.loads((ROOT / "infra" / "main.parameters.json").read_text())["parameters"]
        values = {name: VARIABLE.sub(self._value, item["value"]) for name, item in listed.items()}
        types = {name: item["type"].lower() for name, item in self.template["parameters"].items()}
        return {name: {"value": _typed(value, types[name])} for name, value in values.items() if value}

    def _value(self, match: re.Match[str]) -> str:
        return self.env.get(match[1]) or match[2] or ""

    def _group(self) -> str:
        return f"{self.subscription}/resourceGroups/{self.env['AZURE_RESOURCE_GROUP']}"

    def _name(self, reason: str) -> str:
        self._deployments.append(f"{self.env['AZURE_ENV_NAME']}-{reason}-{len(self._deployments)}")
        return f"{self.subscription}/providers/Microsoft.Resources/deployments/{self._deployments[-1]}"

    async def _own_groups(self) -> list[str]:
        """Return the groups that azd takes for its own: every group among the resources of its deployments."""
        path = f"{self.subscription}/providers/Microsoft.Resources/deployments"
        deployments = (await self._ask("GET", path))["value"]
        mine = [item for item in deployments if item["tags"].get("azd-env-name") == self.env["AZURE_ENV_NAME"]]
        listed = [item["id"] for deployment in mine for item in deployment["properties"]["outputResources"]]
        groups = dict.fromkeys(item for item in listed if item.count("/") == 4)
        existing = []
        for group in groups:
            found = await self._ask("GET", group, absent={})
            existing += [group] if found.get("type") == GROUP_TYPE else []
        return existing

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        absent: Json | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        known = {"Authorization": "Bearer local", **(headers or {})}
        address, query = f"{self.address}{path}", {**API, **(query or {})}
        async with self.session.request(method, address, json=body, params=query, headers=known) as response:
            text = await response.text()
            if response.status == 404 and absent is not None:
                return absent
            if response.status >= 400:
                raise StoppedError(text)
            answer: Json = json.loads(text) if text else {}
            return answer

    async def _hook(self, name: str) -> None:
        """Run a hook as azd does: in its folder, with the environment of azd and of the environment's values."""
        script = ROOT / HOOKS[name]["run"]
        pipe, merged = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script)),
            stdout=pipe,
            stderr=merged,
            cwd=script.parent,
            env={**self.machine, **self.env},
        )
        output, _ = await process.communicate()
        self.printed += output.decode()
        if process.returncode:
            raise StoppedError(output.decode())


def _typed(value: str, kind: str) -> Any:
    if kind == "bool":
        return value.lower() == "true"
    return int(value) if kind == "int" else value


def machine(azd: Path, ca: str, arm: str) -> dict[str, str]:
    """Return the environment of this machine with nothing but azd on the PATH, and no proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PATH": str(azd), "SSL_CERT_FILE": ca, "REQUESTS_CA_BUNDLE": ca, "ARM_ENDPOINT": arm}
