"""Agents as processes: what runs is active and answers; what cannot run fails with a reason and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tarfile
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from local.agents.pool import AgentPool
from local.agents.process import AgentProcess, LogLine, NotReadyError, free_port
from local.agents.unpack import Layer, UnpackError, unpack
from local.foundry.server import Foundry
from local.images import Artifact, push_artifact
from local.registry.repository import digest_of
from local.registry.server import Registry
from tests.contract.agent_images import SERVER, archive, file_entry, image, other_entry, program, zipped

SECRET = "canary-77e1"
OUTSIDE = f"{tempfile.gettempdir()}/slipway-outside"
GOOD = file_entry("app/main.py", (SERVER + "serve()").encode())


@dataclass
class Project:
    """A Foundry stand-in that runs agents, its registry, and its pool."""

    foundry: Foundry
    registry: Registry
    pool: AgentPool
    session: ClientSession
    now: list[float] = field(default_factory=lambda: [0.0])

    @property
    def base(self) -> str:
        return f"{self.foundry.url}/api/projects/demo/agents/hello"

    async def create(self, artifact: Artifact, **variables: str) -> str:
        """Push an image and create a version of it; return the version's number."""
        digest = await push_artifact(self.registry.url.removeprefix("http://"), "agents/hello", "v1", artifact)
        return await self.create_of(digest, **variables)

    async def create_of(self, digest: str, **variables: str) -> str:
        definition = {
            "kind": "hosted",
            "cpu": "1",
            "memory": "2Gi",
            "container_configuration": {"image": f"demo.azurecr.io/agents/hello@{digest}"},
            "environment_variables": {"KEY": SECRET, **variables},
        }
        async with self.session.post(f"{self.base}/versions", json={"definition": definition}) as answer:
            return str((await answer.json())["version"])

    async def outcome(self, number: str) -> dict[str, Any]:
        """Wait until a version is no longer creating, and return it."""
        while True:
            async with self.session.get(f"{self.base}/versions/{number}") as answer:
                version: dict[str, Any] = await answer.json()
            if version["status"] != "creating":
                return version
            await asyncio.sleep(0.02)

    async def failure(self, artifact: Artifact, **variables: str) -> str:
        """Return the message of the version of an image that must fail."""
        version = await self.outcome(await self.create(artifact, **variables))
        assert version["status"] == "failed"
        assert version["error"]["code"] == "ImageError"
        return str(version["error"]["message"])

    async def printed(self, number: str = "1") -> list[str]:
        """Return what a version's process printed, once it printed anything."""
        agent = self.foundry.project.agents["hello"].versions[number].agent
        assert agent is not None
        while not agent.lines:
            await asyncio.sleep(0.02)
        return [line.message for line in agent.lines]

    async def ask(self, body: str) -> tuple[int, str]:
        async with self.session.post(f"{self.base}/endpoint/protocols/invocations", data=body) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async def python(_: Callable[[str], None]) -> Path:
        return Path(sys.executable)

    registry, now = Registry("demo"), [0.0]
    await registry.start()
    pool = AgentPool(tmp_path / "stack" / "agents", python=python, clock=lambda: now[0])
    foundry = Foundry(registry.url, pool=pool)
    await foundry.start()
    foundry.project.provisioning.seconds = 0
    foundry.project.provisioning.ready_within_s = 100
    async with ClientSession(headers={"Authorization": "Bearer t"}) as session:
        yield Project(foundry, registry, pool, session, now)
    await foundry.stop()
    await registry.stop()
    assert [path for path in tmp_path.rglob("*") if path.name != "stack"] == []


async def test_a_program_is_active_answers_with_its_variables_and_is_reached_over_invocations(project: Project) -> None:
    source = SERVER + "import sys; print('started', os.environ['FOUNDRY_AGENT_NAME'], sorted(os.environ)); serve()"
    version = await project.outcome(await project.create(image(zipped(program(source)), Env=["MODE=fast", "odd"])))
    assert version["status"] == "active"
    status, text = await project.ask("hello")
    assert status == 200
    assert text.startswith("/invocations?agent_session_id=")
    assert text.endswith(" hello")
    line = (await project.printed())[0]
    assert line.startswith("started hello")
    names = set(re.findall(r"'(\w+)'", line)) - {"LC_CTYPE"}  # Python's own
    injected = {"FOUNDRY_AGENT_ID", "FOUNDRY_AGENT_NAME", "FOUNDRY_AGENT_VERSION", "FOUNDRY_PROJECT_ENDPOINT", "PORT"}
    assert names == {"HOME", "KEY", "MODE", "PATH", "PYTHONUNBUFFERED", "TMPDIR"} | injected


async def test_a_script_of_the_image_runs_with_its_arguments_in_its_folder(project: Project) -> None:
    script = b'#!/bin/sh\ncat "$1" note; exit 3\n'
    layers = archive(file_entry("srv/run", script), file_entry("srv/note", b"near"), file_entry("etc/data", b"far "))
    message = await project.failure(image(layers, command=["./run", "/etc/data"], WorkingDir="/srv"))
    assert message == "the container exited with code 3 before /readiness answered; its last output: far near"


async def test_later_layers_replace_and_remove_files(project: Project) -> None:
    first = archive(file_entry("app/main.py", b"wrong"), file_entry("app/old/a", b""), file_entry("app/gone", b""))
    source = f"{SERVER}\napp = os.path.dirname(sys.argv[0])\nprint(os.listdir(app), os.listdir(app + '/old')); serve()"
    second = archive(
        file_entry("app/.wh.gone"),
        file_entry("app/old/.wh..wh..opq"),
        file_entry("app/old/b"),
        file_entry("app/main.py", source.encode()),
    )
    await project.outcome(await project.create(image(zipped(first), second)))
    assert sorted(re.findall(r"'([^']*)'", (await project.printed())[0])) == ["b", "main.py", "old"]


async def test_an_absolute_link_stays_in_the_image(project: Project) -> None:
    layer = archive(
        other_entry("bin/agent", tarfile.SYMTYPE, "/app/main.py"),
        other_entry("etc/mtab", tarfile.SYMTYPE, "/proc/mounts"),
        file_entry("app/main.py", (f"#!/usr/bin/env python3\n{SERVER}serve()").encode()),
    )
    version = await project.outcome(await project.create(image(layer, command=["/bin/agent"])))
    assert version["status"] == "active"


HARD = other_entry("b", tarfile.LNKTYPE, "a")
BAD_ARCHIVES = [
    pytest.param(archive(file_entry("../../outside", b"x"), GOOD), "'../../outside' is a path outside", id="dots"),
    pytest.param(archive(file_entry("app/../../outside", b"x"), GOOD), "is a path outside", id="dots inside"),
    pytest.param(archive(file_entry(OUTSIDE, b"x"), GOOD), "is a path outside", id="absolute"),
    pytest.param(archive(other_entry("dev/null", tarfile.CHRTYPE), GOOD), "is a device", id="device"),
    pytest.param(archive(other_entry("dev/sda", tarfile.BLKTYPE), GOOD), "is a device", id="block device"),
    pytest.param(archive(other_entry("pipe", tarfile.FIFOTYPE), GOOD), "is a device", id="pipe"),
    pytest.param(archive(other_entry("a", tarfile.SYMTYPE, "../.."), GOOD), "leads out of the image", id="link out"),
    pytest.param(archive(other_entry("a", tarfile.SYMTYPE, "/etc/passwd"), GOOD), "leads out of", id="absolute link"),
    pytest.param(archive(other_entry("a", tarfile.SYMTYPE, "/etc/../../.."), GOOD, file_entry("a/x")), "link", id="up"),
    pytest.param(archive(other_entry("a", tarfile.LNKTYPE, "../../x"), GOOD), "leads out of the image", id="hard link"),
    pytest.param(archive(other_entry("a", tarfile.LNKTYPE, "/etc/passwd"), GOOD), "leads out", id="absolute hard link"),
    pytest.param(
        archive(other_entry("a", tarfile.SYMTYPE, "app"), GOOD, file_entry("a/x", b"")), "passes through", id="through"
    ),
    pytest.param(archive(other_entry("a", tarfile.SYMTYPE, "a"), HARD, GOOD), "hard link to a link", id="hard to soft"),
    pytest.param(zipped(archive(GOOD))[:-40], "is truncated", id="truncated gzip"),
    pytest.param(archive(GOOD)[:600], "cannot be read", id="truncated tar"),
    pytest.param(b"\x1f\x8bnot gzip at all", "cannot be read", id="not gzip"),
    pytest.param(b"\x28\xb5\x2f\xfd0000", "compressed with zstd", id="zstd"),
    pytest.param(archive(), "is not in the image", id="nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "reason"), BAD_ARCHIVES)
async def test_a_bad_layer_is_a_failed_version(project: Project, layer: bytes, reason: str) -> None:
    assert reason in await project.failure(image(layer, command=["/app/main.py"]))
    assert not Path(OUTSIDE).exists()


def big(size: int) -> bytes:
    """The header of a file of this size, and no content."""
    entry, _ = file_entry("big")
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def header(size: int) -> bytes:
    entry, _ = file_entry("long")
    entry.size, entry.type = size, tarfile.XHDTYPE
    return entry.tobuf(tarfile.USTAR_FORMAT)


async def test_layers_of_two_gigabytes_are_refused_before_they_are_read(project: Project) -> None:
    two = 2 * 1024**3
    stated = await project.failure(image(archive(GOOD), stated_size=two))
    assert stated.endswith("has 2,147,483,648 bytes: the local Foundry takes 512 MB")
    assert "larger than 1,024 MB unpacked" in await project.failure(image(zipped(big(two))))
    assert "a header has 2,147,483,648 bytes" in await project.failure(image(zipped(header(two))))


def test_a_layer_that_grows_when_it_is_decompressed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(zipped(archive(GOOD) + bytes(4 * 1024**2)))
    (tmp_path / "root").mkdir()
    with pytest.raises(UnpackError, match="larger than 1 MB decompressed"):
        unpack([Layer(tmp_path / "layer", "sha256:1")], tmp_path / "root", 1024**2)


async def test_a_layer_that_the_registry_does_not_have_is_named(project: Project) -> None:
    layer = archive(GOOD)
    digest = await push_artifact(project.registry.url.removeprefix("http://"), "agents/hello", "v1", image(layer))
    del project.registry.repositories["agents/hello"].blobs[digest_of(layer)]
    version = await project.outcome(await project.create_of(digest))
    assert version["error"] == {"code": "ImageError", "message": f"layer {digest_of(layer)} is not in the registry"}


async def test_content_that_is_not_what_the_manifest_or_the_configuration_names_is_refused(project: Project) -> None:
    artifact = image(archive(GOOD), stated_size=10)
    assert "has other content" in await project.failure(artifact)
    artifact = image(archive(GOOD), stated_size=1024**2)
    assert "is truncated: " in await project.failure(artifact)


BAD_COMMANDS = [
    (["/app/missing"], "the entry point /app/missing is not in the image"),
    (["/../../bin/sh"], "/../../bin/sh leads out of the image"),
    (["no-such-program-anywhere"], "neither in the image nor on this machine"),
    (["/app/data"], "the entry point /app/data is not executable"),
    (["/app/arm"], "the container exited with code 127"),
    (["/app/odd"], "its interpreter or its loader is not on this machine"),
    (["python", "/app/nul\0"], "is not a path"),
    (["python", "-c\0"], "this machine cannot start it"),
    (["/app"], "the entry point /app is not in the image"),
    ([""], "neither in the image"),
]


@pytest.mark.parametrize(("command", "reason"), BAD_COMMANDS, ids=str)
async def test_an_entry_point_that_this_machine_cannot_start_says_so(
    project: Project, command: list[str], reason: str
) -> None:
    arm = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)
    layer = archive(
        file_entry("app/data", b"x", 0o644), file_entry("app/arm", arm), file_entry("app/odd", b"#!/no/such/program\n")
    )
    assert reason in await project.failure(image(layer, command=command))


async def test_a_program_that_exits_gives_its_code_and_its_last_output(project: Project) -> None:
    source = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(7)"
    message = await project.failure(image(program(source)))
    assert message.startswith("the container exited with code 7 before /readiness answered; its last output: ")
    assert "one" in message
    assert "two" in message
    killed = await project.failure(image(program("import os; os.kill(os.getpid(), 9)")))
    assert killed == "the container exited with code 137 before /readiness answered; it printed nothing"


async def test_a_program_that_is_never_ready_fails_and_names_the_port_on_which_it_listens(tmp_path: Path) -> None:
    elsewhere = "server = http.server.HTTPServer(('127.0.0.1', 0), Handler)\nprint('here')\nserver.serve_forever()"
    message = await never_ready(tmp_path, SERVER + elsewhere)
    assert "did not answer 200 within 0.1 s" in message
    assert ("; it listens on port " in message) == Path("/proc").exists()
    assert message.endswith("; its last output: here")
    assert "listens" not in await never_ready(tmp_path, SERVER.replace("200 if", "503 if") + "print('busy'); serve()")


async def never_ready(folder: Path, source: str) -> str:
    """Start a program, wait until it prints, and return why it is not ready."""
    lines: deque[LogLine] = deque()
    port, command = free_port(), [sys.executable, "-c", source]
    process = await AgentProcess.start(command, folder, {"PORT": str(port), "PYTHONUNBUFFERED": "1"}, port, lines)
    while not lines:
        await asyncio.sleep(0.02)
    with pytest.raises(NotReadyError) as refused:
        await process.wait_until_ready(0.1)
    assert process.exited
    return str(refused.value)


async def test_a_version_whose_process_is_not_ready_in_time_has_failed(project: Project) -> None:
    project.foundry.project.provisioning.ready_within_s = 0.1
    assert "did not answer 200 within 0.1 s" in await project.failure(image(program("import time; time.sleep(600)")))


FORK = """
import os, sys, time
printed, prints = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("child", os.getpid(), flush=True)
        os.write(prints, b"1")
        {child}
    os._exit(0)
os.read(printed, 1)
{parent}
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux has subreapers")
async def test_what_a_program_forks_ends_with_it(project: Project) -> None:
    source = FORK.format(child="time.sleep(600)", parent="sys.exit(4)")
    message = await project.failure(image(program(source)))
    assert message.startswith("the container exited with code 4")
    assert not Path(f"/proc/{message.rpartition(' ')[2]}").exists()
    source = FORK.format(child="time.sleep(600)", parent=SERVER + "serve()")
    number = await project.create(image(program(source)))
    assert (await project.outcome(number))["status"] == "active"
    agent = project.foundry.project.agents["hello"].versions[number].agent
    assert agent is not None
    child = (await project.printed(number))[0].rpartition(" ")[2]
    assert Path(f"/proc/{child}").exists()
    project.now[0] += project.pool.idle_seconds
    await project.pool.stop_idle()
    assert agent.process is None
    assert not Path(f"/proc/{child}").exists()
    assert (await project.ask("again"))[0] == 200


async def test_a_program_that_starts_without_end_is_ended(project: Project) -> None:
    bomb = "import os, time\nfor _ in range(100):\n    if os.fork() == 0:\n        time.sleep(600)\ntime.sleep(600)"
    assert "exited with code 125 before /readiness answered; its last output: more than 64 processes" in (
        await project.failure(image(program(bomb)))
    )


async def test_a_program_that_prints_a_hundred_megabytes_keeps_the_end(project: Project) -> None:
    source = (
        "for _ in range(100): print('x' * 1023 + '\\n' + 'y' * 1047551, end='')\nprint('\\nend'); raise SystemExit(1)"
    )
    number = await project.create(image(program(source)))
    assert (await project.outcome(number))["error"]["message"].endswith("end")
    agent = project.foundry.project.agents["hello"].versions[number].agent
    assert agent is not None
    assert sum(len(line.message) for line in agent.lines) <= 1_000 * 2_000


async def test_what_a_program_prints_is_in_the_log_of_its_session(project: Project) -> None:
    await project.outcome(await project.create(image(program(SERVER + "print('hello log'); serve()"))))
    body = {"version_indicator": {"type": "version_ref", "agent_version": "1"}}
    async with project.session.post(f"{project.base}/endpoint/sessions", json=body) as answer:
        session = (await answer.json())["agent_session_id"]
    async with project.session.get(f"{project.base}/versions/1/sessions/{session}:logstream") as stream:
        assert stream.content_type == "text/event-stream"
        events = [await stream.content.readline() for _ in range(6)]
    assert events[0] == b"event: log\n"
    assert b'"stream": "status", "message": "Successfully connected to container"' in events[1]
    assert b'"stream": "stdout", "message": "hello log"' in events[4]
    async with project.session.get(f"{project.base}/versions/1/sessions/none:logstream") as unknown:
        assert unknown.status == 404


async def test_a_configured_answer_or_failure_stands_in_for_the_process(project: Project) -> None:
    project.foundry.project.provisioning.answer["agents/hello"] = "configured"
    await project.outcome(await project.create(image(program(SERVER + "serve()"))))
    assert await project.ask("hello") == (200, "configured")
    project.foundry.project.provisioning.fail["agents/hello"] = {"code": "ImageError", "message": "configured too"}
    assert await project.failure(image(program("1"))) == "configured too"


async def test_an_image_without_a_command_gives_the_configured_answer(project: Project) -> None:
    version = await project.outcome(await project.create(image(archive(), command=None)))
    assert version["status"] == "active"
    assert await project.ask("hello") == (200, "pong")


async def test_a_program_that_ends_later_is_started_again_or_is_not_ready(project: Project) -> None:
    once = SERVER + "\nif os.path.exists('ran'): sys.exit('gone')\nopen('ran', 'w'); serve()"
    await project.outcome(await project.create(image(program(once))))
    agent = project.foundry.project.agents["hello"].versions["1"].agent
    assert agent is not None
    assert agent.process is not None
    os.kill(agent.process.guard_pid, signal.SIGTERM)
    while not agent.process.exited:
        await asyncio.sleep(0.01)
    status, text = await project.ask("hello")
    assert status == 424
    assert "session_not_ready" in text
    assert "exited with code 1" in text


async def test_a_deleted_version_leaves_nothing_and_few_agents_run_at_once(project: Project, tmp_path: Path) -> None:
    project.pool.max_running = 1
    for name in ("a", "b"):
        project.now[0] += 1
        await project.outcome(await project.create(image(program(f"{SERVER}\nprint({name!r}); serve()"))))
    first, second = (project.foundry.project.agents["hello"].versions[number].agent for number in "12")
    assert first is not None
    assert second is not None
    assert (first.process, second.process is None) == (None, False)
    async with project.session.delete(f"{project.base}/versions/1?force=true") as answer:
        assert answer.status == 200
    assert not first.folder.exists()
    async with project.session.delete(f"{project.base}?force=true") as answer:
        assert answer.status == 200
    assert not second.folder.exists()


async def test_nothing_is_left_when_the_process_above_is_killed(tmp_path: Path) -> None:
    guard = Path(__file__).parents[2] / "local" / "agents" / "guard.py"
    agent = "import os, time\nif os.fork() == 0: os.setsid()\nos.write(1, b'%d\\n' % os.getpid())\ntime.sleep(600)"
    above = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); time.sleep(600)"
    guarded = [sys.executable, "-IS", str(guard), sys.executable, "-c", agent]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", above, *guarded, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pids = [int(await process.stdout.readline()) for _ in range(2)]
    process.kill()
    assert await process.stdout.read() == b""  # every holder of the pipe has ended
    await process.wait()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            assert " Z " in Path(f"/proc/{pid}/stat").read_text()
