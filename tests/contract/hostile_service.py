"""A service that answers every request with something hostile, and the product's own gateways to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from aiohttp import web
from azure.ai.projects.aio import AIProjectClient
from azure.containerregistry.aio import ContainerRegistryClient
from azure.keyvault.secrets.aio import SecretClient

from core.model import Definition, Routing, SecretValue
from handlers.gateways import key_vault, registry
from handlers.gateways.answer_limits import MAX_ANSWER_BYTES
from handlers.gateways.azure_http import limited
from handlers.gateways.errors import GatewayError
from handlers.gateways.foundry import client
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.key_vault import AzureKeyVault
from handlers.gateways.registry import AzureRegistry
from local.tls import Authority
from tests.support.local_clients import AsyncLocalCredential

SECRET = "canary-3d7f-of-the-vault"
DEFINITION = Definition("demo.azurecr.io/a@sha256:0", "1", "2Gi", (), {"KEY": SecretValue(SECRET)})
DIGEST = f"sha256:{'0' * 64}"
MEGABYTE = 1_000_000
STOLEN = "/stolen"
Body = Callable[[], Iterator[bytes]]


@cache
def _bomb() -> bytes:
    """200 MB of spaces in 200 kB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(b" " * MEGABYTE) for _ in range(200)), packer.flush()])


def _three_hundred_megabytes() -> Iterator[bytes]:
    return itertools.repeat(b" " * MEGABYTE, 300)


KINDS: dict[str, tuple[dict[str, str], Body]] = {
    "a gzip bomb": ({"Content-Encoding": "gzip"}, lambda: iter([_bomb()])),
    "a large answer": ({"Content-Length": str(300 * MEGABYTE)}, _three_hundred_megabytes),
    "an endless answer": ({}, _three_hundred_megabytes),
    "millions of values": ({}, lambda: iter([b"[", b"{}," * 1_300_000, b"{}]"])),
    "many keys": ({}, lambda: iter([b"{" + b"".join(b'"%d":0,' % number for number in range(45_000)) + b'"":0}'])),
    "wide text": ({}, lambda: iter([b"{\"a\":\"" + b"a" * (MAX_ANSWER_BYTES - 100) + "\U0001f600".encode() + b"\"}"])),
}  # fmt: skip
ENDLESS = ["a gzip bomb", "a large answer", "an endless answer", "millions of values"]
"""Beyond the limits; the others are just within."""
DRIP = "a drip"
DRIP_SECONDS = 0.2
REDIRECT = "a redirect"


@dataclass
class HostileService:
    """One address for Foundry, registry and vault."""

    kind: str
    url: str = ""
    paths: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The hostile answer; tokens are given, so that requests come as far as the service."""
        self.paths.append(request.path)
        if "/oauth2/" in request.path:
            return web.json_response({"access_token": "a", "refresh_token": "a"})
        if self.kind == REDIRECT:
            return web.Response(status=307, headers={"Location": f"{self.url}{STOLEN}"})
        headers, body = KINDS.get(self.kind, ({}, lambda: iter(())))
        answer = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
        with contextlib.suppress(ConnectionError):
            await answer.prepare(request)
            for piece in body():
                await answer.write(piece)
                await asyncio.sleep(0)  # a lost connection shows only then
                if request.transport is None or request.transport.is_closing():
                    break
            while self.kind == DRIP:
                await answer.write(b" ")
                await asyncio.sleep(DRIP_SECONDS)
            await answer.write_eof()
        return answer


@dataclass(frozen=True)
class HostileGateways:
    """The gateways under test."""

    foundry: AzureFoundry
    registry: AzureRegistry
    key_vault: AzureKeyVault

    @property
    def writes(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Every write to Foundry, and the read whose answer is a secret."""
        foundry = self.foundry
        return {
            "create a version": lambda: foundry.create_version("a", DEFINITION, {}),
            "set the routing": lambda: foundry.set_routing("a", Routing.to("1")),
            "delete a version": lambda: foundry.delete_version("a", "1"),
            "create a toolbox": lambda: foundry.ensure_toolbox("a", [{"type": "code_interpreter"}]),
            "delete a toolbox": lambda: foundry.delete_toolbox_version("a", "1"),
            "end a session": lambda: foundry.end_session("a", "s"),
            "create an evaluation": lambda: foundry.create_evaluation("a", "1", []),
            "start a run": lambda: foundry.start_run("eval_1", "a", []),
            "delete an evaluation": lambda: foundry.delete_evaluation("eval_1"),
            "read a secret": lambda: self.key_vault.get_secret("a", None),
        }

    @property
    def calls(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Writes and reads."""
        return {
            **self.writes,
            "read an agent": lambda: self.foundry.get_agent("a"),
            "read a model": lambda: self.foundry.has_model("a", "gpt-5-mini"),
            "read a version": lambda: self.foundry.get_version("a", "1"),
            "list versions": lambda: self.foundry.list_versions("a"),
            "find a run": lambda: self.foundry.find_run("eval_1", "a"),
            "get a run": lambda: self.foundry.get_run("eval_1", "evalrun_1"),
            "open a session": lambda: self.foundry.open_session("a", "1", 5),
            "read a manifest": lambda: self.registry.inspect("a/b", DIGEST),
            "read recent tags": lambda: self.registry.recent_tags("a/b", "v1"),
            "list secrets": lambda: self.key_vault.tagged_secrets("a"),
            "list versions of a secret": lambda: self.key_vault.list_secret_versions("a"),
        }


@asynccontextmanager
async def hostile_service(kind: str, folder: Path) -> AsyncIterator[tuple[HostileService, Path]]:
    """Start the service; the path is that of its certificate authority."""
    service, authority = HostileService(kind), Authority(folder)
    app = web.Application(client_max_size=MEGABYTE)
    app.router.add_route("*", "/{tail:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server()).start()
    service.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service, authority.ca
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateways_to(url: str, ca: str) -> AsyncIterator[HostileGateways]:
    """The product's gateways with the product's own options, which trust the authority."""
    credential, trusting = AsyncLocalCredential(), {"connection_verify": ca}
    foundry = AzureFoundry(url, credential)
    foundry._client.instance = AIProjectClient(url, credential, **limited(client.OPTIONS | trusting))
    images = AzureRegistry(url, credential)
    images._client.instance = ContainerRegistryClient(url, credential, **limited(registry.OPTIONS | trusting))
    vault = AzureKeyVault(url, credential)
    await vault.close()
    vault._client.instance = SecretClient(url, credential, **limited(key_vault.OPTIONS | trusting))
    try:
        yield HostileGateways(foundry, images, vault)
    finally:
        for gateway in (foundry, images, vault):
            await gateway.close()


@asynccontextmanager
async def hostile_gateways(kind: str, folder: Path) -> AsyncIterator[tuple[HostileGateways, HostileService]]:
    """The service, and gateways to it, in one process."""
    async with hostile_service(kind, folder) as (service, ca), gateways_to(service.url, str(ca)) as gateways:
        yield gateways, service


async def _call_everything(url: str, ca: str) -> None:
    async with gateways_to(url, ca) as gateways:
        for call in gateways.calls.values():
            with contextlib.suppress(GatewayError):
                await call()


if __name__ == "__main__":
    asyncio.run(_call_everything(*sys.argv[1:]))
    # ru_maxrss would count the process that started this one; the kernel's own mark begins with the program
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    sys.stdout.write(str(int(peak) // 1024))
