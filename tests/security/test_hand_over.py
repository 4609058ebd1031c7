"""Another instance, which has not read a version's secrets, repeats them nowhere, whatever is said of the version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.commands.prune import plan_and_prune
from cli.commands.status import show_status
from cli.commands.why import explain
from cli.doctor.services import checks
from cli.plan.snapshot import take_snapshot
from cli.prompt import PromptOptions
from core.agents_file.loader import load_agents
from core.agents_file.spec import Agents
from core.foreign_text import LEFT_OUT, ForeignText
from core.model import Answer, Failure
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.prune_versions.run import prune_versions
from handlers.redaction import HIDDEN, ServiceCode
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App
from tests.support.captured_telemetry import CapturedTelemetry
from tests.support.secrets import forget_secrets
from tests.unit.cli.support import context_of
from tests.unit.handlers.masking.test_spellings import DOCUMENTS, SPELLINGS, VALUES, is_left

AGENTS = load_agents(b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}, PINNED: {secret: pinned-key, version: "00000000000000000000000000000003"}}
    keep: {newest: 0, min_age: 1m}
    release:
      debounce: 0s
      provision_within: 1h
      verify: {ask: ping, expect: pong, within: 5s}
      check: {ask: ping, expect: pong, within: 5s}
""")
OTHER_SIZE = b"""
agents:
  hello-agent:
    repository: agents/hello
    cpu: "2"
    memory: 4Gi
    release: {debounce: 0s, provision_within: 1h}
"""
DIGEST, WORDS = "a" * 64, "it said"
SECRET = "WHOLE-Secret-Value-51b2"
TOO_SLOW = 21 * 60.0
"""Seconds until a version is active: longer than one message may take, so that another instance goes on."""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    forget_secrets()


class TalkingFoundry(InMemoryFoundry):
    """Foundry that refuses one kind of request, with its own words."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock, provisioning=TOO_SLOW)
        self.refusals: dict[str, GatewayError] = {}

    def _refuse(self, call: str) -> None:
        if call in self.refusals:
            raise self.refusals[call]

    async def get_agent(self, name: str) -> Any:
        self._refuse("get_agent")
        return await super().get_agent(name)

    async def get_version(self, agent: str, number: str) -> Any:
        self._refuse("get_version")
        return await super().get_version(agent, number)

    async def list_versions(self, agent: str) -> Any:
        self._refuse("list_versions")
        return await super().list_versions(agent)

    async def set_routing(self, agent: str, to: Any) -> Any:
        self._refuse("set_routing")
        return await super().set_routing(agent, to)

    async def open_session(self, agent: str, version: str, within: float) -> Any:
        self._refuse("open_session")
        return await super().open_session(agent, version, within)


def refuse(call: str, kind: type[TransientError | PermanentError]) -> Any:
    def said(foundry: TalkingFoundry, text: str) -> None:
        foundry.refusals[call] = kind("Foundry", ServiceCode(text), call, ForeignText(f"{WORDS} {text}"))

    return said


def answer(first: Any = None, second: Any = None) -> Any:
    def said(foundry: TalkingFoundry, text: str) -> None:
        foundry.answers[DIGEST] = (first(text) if first else "pong", second(text) if second else "pong")

    return said


def fail(code: str, words: str) -> Any:
    """The version's container crashed."""

    def said(foundry: TalkingFoundry, text: str) -> None:
        versions = foundry.agents[AGENT].versions
        failure = Failure(code or text, words.format(text))
        versions.update({number: replace(version, failure=failure) for number, version in versions.items()})

    return said


CHANNELS: dict[str, Any] = {
    "a version's failure": fail("CodeError", f"{WORDS} {{}}"),
    "a version's error code": fail("", WORDS),
    "the code of a refused question": answer(lambda text: Answer(400, text, code=text)),
    "the code of an error": answer(lambda text: Answer(500, text, code=text, origin="service", request_id=text)),
    "the refusal of a session": answer(lambda text: Answer(403, message=f"{WORDS} {text}", code=text)),
    "the version that answered": answer(None, lambda text: Answer(200, "pong", version=text)),
    "a response's status": answer(lambda text: Answer(200, text, response_status="failed", code=text)),
    "an incomplete response": answer(
        lambda text: Answer(200, text, response_status="incomplete", incomplete_reason=text)
    ),
    "a wrong answer": answer(lambda text: text),
    "a check's answer": answer(None, lambda text: Answer(422, text, code=text, origin="agent", request_id=text)),
    "a refused read": refuse("get_version", PermanentError),
    "a fault of a read": refuse("get_version", TransientError),
    "a refused list": refuse("list_versions", PermanentError),
    "a refused route": refuse("set_routing", PermanentError),
    "a fault of a session": refuse("open_session", TransientError),
    "a fault of the agent": refuse("get_agent", TransientError),
}


@dataclass
class Outputs:
    """All that two instances and the command line stored, recorded, sent and printed."""

    app: App
    telemetry: CapturedTelemetry = field(default_factory=CapturedTelemetry)
    printed: list[str] = field(default_factory=list)

    def text(self) -> str:
        store = self.app.state_store
        states = (store.desired, store.releases, self.app.journal.lines, self.app.outcome_publisher.published)
        return "\n".join((repr(states), self.telemetry.text(), *self.printed))

    async def run_commands(self) -> None:
        """Every command that reads Foundry, each in a process of its own."""
        context, day = context_of(self.app), timedelta(days=1)
        dry_run = PromptOptions(dry_run=True, yes=False, as_json=True)
        for command in (
            lambda: show_status(context, None),
            lambda: explain(context, f"sha256:{DIGEST}", day),
            lambda: take_snapshot(context, None),
            lambda: plan_and_prune(context, None, dry_run),
            lambda: checks(self.app.agents, self.app.gateways),
        ):
            forget_secrets()
            try:
                result: Any = await command()
                self.printed.append(f"{getattr(result, 'text', result)} {json.dumps(getattr(result, 'data', 0))}")
            except GatewayError as error:
                self.printed.append(f"{error} {error.code} {error.message}")

    async def run_timers(self) -> None:
        """Pruning and the search for drift, each in a process of its own."""
        forget_secrets()
        await prune_versions(self.app.agents, self.app.settings, self.app.gateways)
        forget_secrets()
        await resume_releases(self.app.agents, self.app.gateways)


async def hand_over(channel: str, value: str, said: str, *, agents: Agents = AGENTS, readable: bool = True) -> Outputs:
    """One instance creates a version with the secret and stops; another one goes on and hears what is said."""
    app = App(clock=VirtualClock(), kind=TalkingFoundry, agents=AGENTS)
    app.key_vault.put("hello-key", value)
    app.key_vault.put("pinned-key", "an-older-value-of-it")
    outputs = Outputs(app)
    with outputs.telemetry:
        await app.pushed("v1", "a")
        assert await app.released() == ""
        assert app.journal.reasons()[-1] == "TIME_BUDGET_SPENT"
        forget_secrets()
        app.agents = agents
        app.key_vault.forbidden = not readable
        CHANNELS[channel](app.foundry, said)
        await app.clock.sleep(120)
        for _ in range(2):
            await app.released()
            await app.clock.sleep(120)
        await outputs.run_commands()
        await outputs.run_timers()
    return outputs


@pytest.mark.parametrize("readable", [True, False], ids=["the vault answers", "the vault is closed"])
@pytest.mark.parametrize("channel", CHANNELS)
@in_virtual_time
async def test_what_is_said_of_a_version_is_repeated_without_its_secrets(channel: str, readable: bool) -> None:
    outputs = await hand_over(channel, SECRET, SECRET, readable=readable)
    assert SECRET not in outputs.text()
    assert len(outputs.app.journal.lines) > 5, "the second instance has decided something"


@given(channel=st.sampled_from(sorted(CHANNELS)), value=VALUES, spelling=st.sampled_from(sorted(SPELLINGS)))
@settings(max_examples=12, deadline=None)
def test_no_spelling_of_a_secret_survives_a_hand_over(channel: str, value: str, spelling: str) -> None:
    value = f"{value}-51b2"  # not a word of ours

    @in_virtual_time
    async def run() -> None:
        outputs = await hand_over(channel, value, SPELLINGS[spelling](value))
        forget_secrets()
        assert not is_left(value, outputs.text())

    run()


@pytest.mark.parametrize(("document", "part"), DOCUMENTS)
@in_virtual_time
async def test_no_part_of_a_secret_survives_a_hand_over(document: str, part: str) -> None:
    outputs = await hand_over("a version's failure", document, part)
    assert f" {part}" not in outputs.text()
    assert WORDS in outputs.text()


@in_virtual_time
async def test_the_second_instance_reads_the_noted_secrets_and_repeats_the_rest() -> None:
    outputs = await hand_over("a version's failure", SECRET, f"Key={SECRET} is wrong")
    (line,) = [line for line in outputs.app.journal.lines if line["reason"] == "CODE_ERROR"]
    assert line["detail"] == f"CodeError: {WORDS} Key={HIDDEN} is wrong"


@in_virtual_time
async def test_the_words_are_left_out_where_a_noted_secret_cannot_be_read() -> None:
    outputs = await hand_over("a version's failure", SECRET, "nothing secret", readable=False)
    (line,) = [line for line in outputs.app.journal.lines if line["reason"] == "CODE_ERROR"]
    assert line["detail"] == f"CodeError: {LEFT_OUT}"


@in_virtual_time
async def test_a_pinned_secret_is_noted_whatever_agents_yaml_says_later() -> None:
    said = "an-older-value-of-it"
    for agents in (AGENTS, load_agents(OTHER_SIZE)):
        outputs = await hand_over("a version's failure", SECRET, said, agents=agents)
        assert said not in outputs.text()
        assert WORDS in outputs.text()


def test_an_error_that_leaves_a_function_does_not_hold_the_words() -> None:
    error = PermanentError("Foundry", ServiceCode(SECRET), "route", ForeignText(f"{WORDS} {SECRET}"))
    assert SECRET not in f"{error} {error!r} {error.args} {error.message} {error.code}"
