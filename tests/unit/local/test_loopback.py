"""No web page drives a stand-in, and no other user of the machine reads what the stack keeps."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from local.arm import Arm
from local.event_grid import EventGrid, Subscription
from local.foundry.server import Foundry
from local.functions_host.invoker import Invoker
from local.functions_host.server import FunctionsHost
from local.github import GitHub
from local.managed_identity import ManagedIdentity
from local.private_files import SharedFolderError, make_private, write_private
from local.registry.server import Registry
from local.stand_in import StandIn
from local.storage.blobs import Blobs
from local.storage.queues import Queues
from local.storage.service import Clock
from local.storage.store import Store
from local.telemetry.server import Telemetry
from local.tls import Authority
from local.vault import Vault

FOREIGN = {
    "another name": {"Host": "evil.example"},
    "another name on this port": {"Host": "evil.example:{port}"},
    "a name that begins like ours": {"Host": "127.0.0.1.evil.example"},
    "a name that ends like ours": {"Host": "evil.localhost"},
    "user and host": {"Host": "localhost@evil.example"},
    "any address": {"Host": "0.0.0.0:{port}"},
    "an address of a network": {"Host": "192.168.0.2:{port}"},
    "the same address as a number": {"Host": "2130706433:{port}"},
    "no name": {"Host": ""},
    "two names": {"Host": "127.0.0.1, evil.example"},
    "a page elsewhere": {"Origin": "https://evil.example"},
    "a page without an origin": {"Origin": "null"},
    "a page on another port": {"Origin": "http://127.0.0.1:1"},
    "a page on the default port": {"Origin": "http://localhost"},
    "a page with such a name": {"Origin": "http://127.0.0.1:{port}.evil.example"},
    "an extension": {"Origin": "chrome-extension://127.0.0.1:{port}"},
    "an image on a page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "a page of another port": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "a form on a page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
}
OWN = {
    "a program": {},
    "a name": {"Host": "localhost:{port}"},
    "capitals": {"Host": "LocalHost:{port}"},
    "version 6": {"Host": "[::1]:{port}"},
    "no port": {"Host": "127.0.0.1"},
    "its own page": {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    "a link to its page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "GET": ""},
}


def stand_ins(folder: Path) -> list[StandIn]:
    """Every stand-in that a stack serves."""
    clock = Clock()
    store = Store(folder / "storage", clock)
    return [
        *(Arm(), EventGrid(folder / "dead"), Foundry(), ManagedIdentity(), Registry("demo"), Telemetry()),
        *(GitHub(), Vault("demo-vault"), FunctionsHost({}, Invoker()), Blobs(store, clock), Queues(store, clock)),
    ]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[list[StandIn]]:
    parts = stand_ins(tmp_path)
    for part in parts:
        await part.start()
    yield parts
    for part in parts:
        await part.stop()
        if isinstance(part, Blobs):
            part.store.close()


async def status(part: StandIn, method: str, path: str, headers: dict[str, str], body: str | None = None) -> int:
    port = part.url.rpartition(":")[2]
    sent = {name: value.format(port=port) for name, value in headers.items() if name != "GET"}
    async with (
        ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.request(method, f"{part.url}{path}", headers=sent, data=body) as answer,
    ):
        return answer.status


async def test_every_stand_in_of_the_stack_is_tried(running: list[StandIn]) -> None:
    def subclasses(kind: type[StandIn]) -> set[type[StandIn]]:
        below = {each for each in kind.__subclasses__() if each.__module__.startswith("local.")}
        return below.union(*map(subclasses, below)) if below else below

    tried = tuple(type(part) for part in running)
    assert {kind for kind in subclasses(StandIn) if not issubclass(kind, tried)} == {Blobs.__mro__[1]}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_a_request_of_another_page_changes_nothing(running: list[StandIn], headers: dict[str, str]) -> None:
    fault = json.dumps([{"path": "/", "status": 500}])
    for part in running:
        assert await status(part, "PUT", "/_local/faults", headers, fault) == 403
        assert await status(part, "POST", "/admin/functions/event_queued", headers, '{"input": "{}"}') == 403
        if headers.get("Sec-Fetch-Mode") != "navigate":
            assert await status(part, "GET", "/_local/requests", headers) == 403
        assert (list(part.requests), part.faults) == ([], [])


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
async def test_programs_of_this_machine_and_its_own_page_are_served(
    running: list[StandIn], headers: dict[str, str]
) -> None:
    for part in running:
        assert await status(part, "GET", "/_local/requests", headers) == 200
        if "GET" not in headers:
            assert await status(part, "PUT", "/_local/faults", headers, "[]") == 200


async def test_a_request_with_two_hosts_or_none_is_refused(running: list[StandIn]) -> None:
    for part in running:
        for hosts in (b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(part.url.rpartition(":")[2]))
            writer.write(b"GET /_local/requests HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            assert answer.split()[1] in (b"400", b"403")


async def test_no_request_names_the_file_of_a_dead_letter(tmp_path: Path) -> None:
    async def refuse(_: object) -> int:
        return 400

    class Refusing:
        deliver = staticmethod(refuse)

    events = EventGrid(tmp_path / "stack" / "dead")
    events.subscriptions = [Subscription(frozenset({"t"}), Refusing())]
    for name in ("../../outside", "/tmp/outside", "a\0b", "x" * 5000, None):  # noqa: S108 - never written
        await events.publish({"id": name, "eventType": "t"})
    await asyncio.gather(*events.in_flight)
    assert [path.name for path in tmp_path.iterdir()] == ["stack"]
    letters = [json.loads(path.read_text())["id"] for path in (tmp_path / "stack" / "dead").iterdir()]
    assert len(letters) == 5


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


def test_only_the_user_may_read_keys_whatever_the_umask_and_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o755)
    (folder / "server.pem").write_text("of an earlier stack")
    (folder / "server.pem").chmod(0o644)
    before = os.umask(0)
    try:
        Authority(folder)
    finally:
        os.umask(before)
    assert modes(folder) == {"tls": 0o700, "server.pem": 0o600, "ca.pem": 0o600}


def test_a_private_file_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_private(tmp_path / "link", b"new")
    assert [(tmp_path / name).read_text() for name in ("target", "link")] == ["kept", "new"]


def test_a_folder_that_others_share_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(SharedFolderError, match="shared with other users"):
        make_private(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
