"""With ``release.logs`` the line of a failed probe has what the container printed last, masked and short."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.redaction import register_secret
from handlers.release_agent.container_log import MAX_BYTES, MAX_LINES, last_lines
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import WITH_RELEASE, App, push_and_release
from tests.unit.cli.support import context_of

ROW = json.dumps({"ask": "ping", "expect": "pong"}).encode()
VERIFY = "logs: true, verify: {ask: ping, expect: pong, within: 5s}"
CHECK = "logs: true, check: {ask: ping, expect: pong, within: 5s}"
EVALUATE = "logs: true, evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 1}}}"
FAILURES = [(VERIFY, "VERIFY_FAILED"), (EVALUATE, "EVALUATION_FAILED"), (CHECK, "CHECK_FAILED")]


class CountingFoundry(InMemoryFoundry):
    """Counts how often a log is read, and which sessions are open then."""

    read: int = 0

    async def session_log(self, agent: str, version: str, session: str, within: float) -> str:
        self.read += 1
        assert session in self.agents[agent].probe_sessions, "the log is read before the session ends"
        return await super().session_log(agent, version, session, within)


class RefusingFoundry(InMemoryFoundry):
    async def session_log(self, agent: str, version: str, session: str, within: float) -> str:
        raise TransientError("Foundry", "no answer", "read the log")


async def failed(release: str, kind: type[InMemoryFoundry] = CountingFoundry, log: str = "boom") -> tuple[App, Any]:
    """An agent whose second version fails its probe; the app, and the line of the failure."""
    agents = load_agents((WITH_RELEASE % release).encode(), lambda name: ROW)
    app = App(clock=VirtualClock(), kind=kind, agents=agents)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    await app.clock.sleep(60)
    app.foundry.answers["b" * 64], app.foundry.logs["b" * 64] = "no idea", log
    reason = await push_and_release(app, "v2", "b")
    line = next(line for line in app.journal.lines if line["reason"] == reason)
    return app, line


@pytest.mark.parametrize(("release", "reason"), FAILURES)
@in_virtual_time
async def test_a_failed_probe_has_the_log(release: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    app, line = await failed(release, log="starting\nTraceback: no module named hello")
    assert (line["reason"], line["container_log"]) == (reason, "starting\nTraceback: no module named hello")
    reads = 2 if release is EVALUATE else 1  # an evaluation is judged after its session has ended
    assert app.foundry.read == reads  # type: ignore[attr-defined]
    assert not any(record.probe_sessions for record in app.foundry.agents.values())
    records = [value for record in caplog.records for value in vars(record).values()]
    assert not any("Traceback: no module" in str(value) for value in records)
    assert "Traceback" not in str(app.outcome_publisher.published)
    assert "Traceback" not in repr(await app.state_store.get_release("hello-agent"))


@pytest.mark.parametrize("release", [VERIFY, CHECK, EVALUATE])
@in_virtual_time
async def test_without_the_key_no_log_is_read(release: str) -> None:
    app, line = await failed(release.removeprefix("logs: true, "))
    assert "container_log" not in line
    assert app.foundry.read == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(("release", "reason"), FAILURES)
@in_virtual_time
async def test_a_log_that_cannot_be_read_changes_nothing(release: str, reason: str) -> None:
    _, line = await failed(release, RefusingFoundry)
    assert (line["reason"], line["container_log"]) == (reason, "the log was not read: no answer")


@pytest.mark.parametrize(("release", "reason"), FAILURES)
@in_virtual_time
async def test_a_secret_in_a_log_is_hidden(release: str, reason: str) -> None:
    _, line = await failed(release, log="KEY is canary-3c2d!")
    assert line["reason"] == reason
    assert line["container_log"] == "KEY is ***!"


@in_virtual_time
async def test_why_prints_the_log() -> None:
    from datetime import timedelta

    from cli.commands.why import explain

    app, _ = await failed(VERIFY, log="one\ntwo \x1b[31m")
    result = await explain(context_of(app), "v2", timedelta(days=1))
    assert "version 2 of hello-agent printed:\n  | one\n  | two \\x1b[31m" in result.text
    assert any("container_log" in decision for decision in result.data["decisions"])


def test_the_last_lines_are_few_short_and_masked() -> None:
    assert last_lines("") == ""
    lines = last_lines("\n".join(f"line {number}" for number in range(100))).split("\n")
    assert (len(lines), lines[0], lines[-1]) == (MAX_LINES, "line 60", "line 99")
    long = last_lines("\u00e9" * 10_000 + "end")
    assert len(long.encode()) <= MAX_BYTES
    assert long.endswith("\u00e9end")
    register_secret("canary-in-two-lines")
    assert "canary" not in last_lines("a canary-in-two-lines b\nnext\x00")
    assert last_lines("next\x00") == "next\\x00"
