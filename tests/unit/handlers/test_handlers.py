"""The handlers on fakes: what is written, asked for and told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.agents_file.spec import Agents
from core.image_manifest import RegistryTag
from core.model import Definition, Failure, Routing, Secret, SecretUnavailable, Version
from core.state.desired import DesiredState, Pause
from core.state.release import PendingWrite, Phase, WriteKind
from handlers.events.event_queued import handle_event
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.outcomes import InMemoryOutcomePublisher
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.poison import handle_poison_message
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from handlers.settings import Settings
from tests.simulation.scene import ENVIRONMENT
from tests.support.builders import push_data, push_event, secret_event

AGENT = "hello-agent"
RULES = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    tools: [{type: code_interpreter}]
    keep: {newest: 0, min_age: 1m}
  twin-agent:
    repository: agents/hello
    env_from_vault: true
"""


@dataclass
class House:
    """Everything that a handler is given."""

    clock: Any = field(default_factory=ManualClock)
    kind: type[InMemoryFoundry] = InMemoryFoundry
    vault: InMemoryKeyVault = field(default_factory=InMemoryKeyVault)
    journal: InMemoryJournal = field(default_factory=InMemoryJournal)
    agents: Agents = field(default_factory=lambda: load_agents(RULES))
    settings: Settings = field(default_factory=lambda: Settings.from_env(ENVIRONMENT))

    def __post_init__(self) -> None:
        self.ledger, self.foundry = InMemoryStateStore(self.clock), self.kind(self.clock)
        self.vault.put("hello-key", "canary-3c2d")
        self.queue, self.images = InMemoryReleaseQueue(self.clock), InMemoryRegistry()
        self.outcomes = InMemoryOutcomePublisher()
        self.outside = Gateways(
            self.foundry, self.vault, self.ledger, self.journal, self.queue, self.clock, self.images, self.outcomes
        )

    async def event(self, *events: Any) -> None:
        await handle_event(json.dumps(list(events)), self.agents, self.settings, self.outside)

    async def pushed(self, tag: str = "v1", letter: str = "a") -> None:
        at = self.clock.now().isoformat()
        data = push_data(tag=tag, digest=f"sha256:{letter * 64}")
        await self.event(push_event(id=f"event-{tag}", eventTime=at, data=data))

    async def released(self, agent: str = AGENT) -> str:
        """Take the release up and return how the record then stands."""
        message = json.dumps({"target": agent, "traceparent": None})
        await handle_message(message, self.agents, self.settings, self.outside)
        return (await self.ledger.get_release(agent)).reason

    async def live(self) -> str | None:
        agent = await self.foundry.get_agent(AGENT)
        return agent.routing.pinned if agent else None


class SlowVault(InMemoryKeyVault):
    """One whose every read takes longer than a look at the traffic stays fresh."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        await self._clock.sleep(25)
        return await super().get_secret(name, version)


class Dying(InMemoryFoundry):
    """One at whose first create the process dies, and nothing was sent."""

    died = False

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        if not self.died:
            self.died = True
            raise asyncio.CancelledError
        return await super().create_version(agent, definition, metadata)


@pytest.fixture
def house() -> House:
    return House()


async def test_a_push_is_noted_for_every_agent_that_follows_the_repository(house: House) -> None:
    await house.pushed()
    assert [agent for agent, _ in house.queue.sent] == [AGENT, "twin-agent"]
    assert (await house.ledger.get_desired(AGENT)).generation == 1
    assert house.journal.reasons() == ["ACCEPTED", "ACCEPTED"]


async def test_the_same_push_delivered_twice_changes_nothing_but_asks_again(house: House) -> None:
    await house.event(push_event(), push_event())
    assert (await house.ledger.get_desired(AGENT)).generation == 1
    assert [agent for agent, _ in house.queue.sent].count(AGENT) == 2


async def test_a_dry_run_is_answered_with_its_decision_and_changes_nothing(house: House) -> None:
    await house.event(push_event(id="try", data=push_data() | {"dry_run": True}))
    await house.event(secret_event(id="try", data=secret_event()["data"] | {"dry_run": True}))
    told = [(line["agent"], line["reason"], line["step"]) for line in house.journal.lines if line["dry_run"] is True]
    both = [(agent, "ACCEPTED", "dry_run") for agent in (AGENT, "twin-agent")]
    assert told == [*both, (AGENT, "NO_PUSH_YET", "dry_run")]
    assert not any("generation" in line for line in house.journal.lines)
    assert house.queue.sent == []
    assert await house.ledger.get_desired(AGENT) == DesiredState()


async def test_what_is_not_for_us_is_journalled_and_answered(house: House) -> None:
    await house.event(push_event(data=push_data(repository="agents/nobody")), push_event(topic="x"), 7)
    assert house.journal.reasons() == ["NOT_FOLLOWED", "OTHER_REGISTRY", "MALFORMED_EVENT"]
    assert house.queue.sent == []


async def test_a_pushed_image_goes_live_with_its_secret_and_tools_in_place(house: House) -> None:
    await house.pushed()
    assert await house.released() == "LIVE"
    environment = house.foundry.environment(AGENT, "1")
    assert environment["KEY"] == "canary-3c2d"
    assert environment["SLIPWAY_TOOLBOX_NAME"] == "hello-agent-tools"
    assert await house.live() == "1"
    assert "canary-3c2d" not in json.dumps(house.journal.lines, default=str) + repr(house.ledger.releases)
    assert house.journal.reasons()[2:] == ["BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE"]


async def test_a_vault_that_takes_longer_than_a_look_stays_fresh_delays_a_release_and_does_not_stop_it() -> None:
    clock = ManualClock()
    house = House(clock=clock, vault=SlowVault(clock))
    await house.pushed()
    assert await house.released() == "LIVE"
    house.foundry.agents[AGENT].routing = Routing()
    await house.pushed("v2", "b")
    assert await house.released() == "LIVE"
    assert await house.live() == "2"
    assert clock.passed < 300


async def test_a_crash_between_begin_and_create_is_made_good_with_a_slow_vault_too() -> None:
    clock = ManualClock()
    house = House(clock=clock, vault=SlowVault(clock), kind=Dying)
    await house.pushed()
    with pytest.raises(asyncio.CancelledError):
        await house.released()
    clock.passed += 60
    assert await house.released() == "LIVE"


async def test_a_newer_push_is_pinned_created_and_promoted(house: House) -> None:
    await house.pushed()
    await house.released()
    house.foundry.agents[AGENT].routing = Routing()
    await house.pushed("v2", "b")
    house.ledger.releases[AGENT].state = replace(house.ledger.releases[AGENT].state, expected_routing=Routing())
    assert await house.released() == "LIVE"
    assert house.journal.reasons()[-6:] == ["PIN", "BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE"]
    assert await house.live() == "2"


async def test_a_push_that_comes_while_the_traffic_is_pinned_is_made_of_its_own_image(house: House) -> None:
    await house.pushed()
    await house.released()
    house.foundry.agents[AGENT].routing = Routing()
    house.ledger.releases[AGENT].state = replace(house.ledger.releases[AGENT].state, expected_routing=Routing())
    await house.pushed("v2", "b")
    house.clock.passed += 60
    route = house.foundry.set_routing

    async def push_comes_meanwhile(agent: str, to: Routing) -> Routing:
        house.foundry.set_routing = route  # type: ignore[method-assign]
        await house.pushed("v3", "c")
        return await route(agent, to)

    house.foundry.set_routing = push_comes_meanwhile  # type: ignore[method-assign]
    assert await house.released() == "LIVE"
    assert house.foundry.agents[AGENT].versions["2"].image.endswith("c" * 64)
    assert (
        house.foundry.create_count == 2
    )  # the first push's and this one's: what is wanted is looked at beside the intent


async def test_the_same_digest_under_a_second_tag_makes_no_second_version(house: House) -> None:
    await house.pushed()
    await house.released()
    house.clock.passed += 60
    await house.pushed("stable")
    assert await house.released() == "ALREADY_LIVE"
    assert house.foundry.create_count == 1


async def test_an_image_that_cannot_start_leaves_the_old_version_live(house: House) -> None:
    await house.pushed()
    await house.released()
    house.foundry.failures["b" * 64] = Failure("ImageError", "cannot start")
    house.clock.passed += 60
    await house.pushed("v2", "b")
    assert await house.released() == "IMAGE_ERROR"
    assert await house.live() == "1"
    assert "cannot start" in (await house.ledger.get_release(AGENT)).detail


async def test_a_failed_twin_of_earlier_is_cleared_and_made_once_more(house: House) -> None:
    house.foundry.failures["a" * 64] = Failure("ImageError", "no right to pull")
    await house.pushed()
    assert await house.released() == "IMAGE_ERROR"
    house.foundry.failures.clear()
    house.clock.passed += 60
    await house.pushed("again")
    assert await house.released() == "LIVE"
    assert await house.live() == "2"
    assert "DELETE_DUPLICATE" in house.journal.reasons()


@pytest.mark.parametrize(
    ("enabled", "reason"), [(False, "SECRET_DISABLED"), (None, "SECRET_MISSING")], ids=["disabled", "missing"]
)
async def test_a_secret_that_cannot_be_read_ends_the_release_before_anything_is_made(
    house: House, enabled: bool | None, reason: str
) -> None:
    if enabled is None:
        house.vault.versions.clear()
    else:
        house.vault.put("hello-key", "x", enabled=enabled)
    await house.pushed()
    assert await house.released() == reason
    assert house.foundry.create_count == 0
    assert "hello-key of variable KEY" in str(house.journal.lines[-1]["detail"])


async def test_secrets_taken_by_tag_reach_their_variables(house: House) -> None:
    house.vault.put("tagged-key", "canary-77", tags={"agent": "twin-agent", "env": "TAGGED"})
    await house.pushed()
    assert await house.released("twin-agent") == "LIVE"
    assert house.foundry.environment("twin-agent", "1") == {"TAGGED": "canary-77"}


async def test_a_vault_that_forbids_the_list_ends_the_release(house: House) -> None:
    house.vault.forbidden = True
    await house.pushed()
    assert await house.released("twin-agent") == "SECRET_FORBIDDEN"
    assert await house.vault.get_secret("hello-key", None) is SecretUnavailable.FORBIDDEN


async def test_rotations_make_one_version_after_the_quiet_time(house: House) -> None:
    await house.pushed()
    await house.released()
    house.vault.put("hello-key", "canary-new")
    await house.event(*(secret_event(id=f"s{n}") for n in range(3)))
    assert house.queue.sent[-1] == (AGENT, 30.0)
    assert await house.released() == "LIVE"
    assert house.queue.sent[-1][1] == pytest.approx(30.0), "not due yet: yielded"
    assert house.foundry.create_count == 1
    house.clock.passed += 31
    await house.released()
    assert house.foundry.create_count == 2
    assert house.foundry.environment(AGENT, "2")["KEY"] == "canary-new"


async def test_a_secret_that_nobody_uses_is_told(house: House) -> None:
    body = secret_event()
    body["data"]["Id"] = f"https://v.vault.azure.net/secrets/other/{'0' * 32}"
    await house.event(body)
    assert house.journal.reasons() == ["SECRET_NOT_USED"]


async def test_while_somebody_else_holds_the_lease_nothing_is_done(house: House) -> None:
    await house.pushed()
    lease = await house.ledger.acquire_lease(AGENT)
    assert lease is not None
    await house.released()
    assert house.journal.reasons()[-1] == "LEASE_TAKEN"
    assert house.foundry.create_count == 0


async def test_a_paused_agent_waits_and_says_who_paused_it(house: House) -> None:
    await house.pushed()
    paused = Pause("freeze", "ada", house.clock.now())
    await house.ledger.update_desired(AGENT, lambda desired: replace(desired, pause=paused))
    await house.released()
    assert house.journal.lines[-1]["reason"] == "PAUSED"
    assert "ada" in str(house.journal.lines[-1]["detail"])
    assert house.foundry.create_count == 0


async def test_what_foundry_refuses_ends_with_its_words(house: House) -> None:
    house.agents = load_agents(b"agents: {hello-agent: {repository: agents/hello, cpu: '3'}}")
    await house.pushed()
    assert await house.released() == "CREATE_REFUSED"
    assert "valid resource tier" in (await house.ledger.get_release(AGENT)).detail


async def test_a_create_that_a_crash_forgot_is_found_and_not_made_again(house: House) -> None:
    await house.pushed()
    await house.released()
    release = house.ledger.releases[AGENT].state
    doing = PendingWrite(WriteKind.CREATE, house.clock.now(), highest_version=0)
    forgotten = replace(
        release, phase=Phase.STARTED, reason="", candidate=None, last_good=None, pending_write=doing, created_at={}
    )
    house.ledger.releases[AGENT].state = forgotten
    assert await house.released() == "LIVE"
    assert house.foundry.create_count == 1


async def test_messages_that_name_no_agent_of_ours_are_told_and_done_with(house: House) -> None:
    for message in ("{half", "[]", '{"target": 7}', '{"target": "nobody"}'):
        await handle_message(message, house.agents, house.settings, house.outside)
    assert house.journal.reasons() == ["MALFORMED_MESSAGE"] * 3 + ["AGENT_UNKNOWN"]


async def test_the_timer_takes_up_what_is_unfinished_and_leaves_the_rest(house: House) -> None:
    await house.pushed()
    await house.released("twin-agent")
    await house.ledger.update_desired("gone-agent", lambda _: DesiredState(generation=1))
    house.queue.sent.clear()
    await resume_releases(house.agents, house.outside)
    assert house.queue.sent == [(AGENT, 0)]
    assert house.journal.reasons()[-2:] == ["AGENT_UNKNOWN", "REQUEUED"]


async def test_a_poisoned_message_is_kept_in_the_journal_and_told_without_its_text(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await handle_poison_message("events", '{"id": "of-the-message"}', house.outside)
    (line,) = house.journal.lines
    assert (line["reason"], line["queue"], line["message"]) == ("POISONED", "events", '{"id": "of-the-message"}')
    (told,) = caplog.records
    assert "of-the-message" not in str(vars(told))


async def test_a_poisoned_message_that_the_journal_does_not_take_stays_in_its_queue(house: House) -> None:
    house.journal.down = True
    with pytest.raises(TransientError):
        await handle_poison_message("events", "{}", house.outside)


async def test_what_somebody_changed_is_told_once_and_never_touched(house: House) -> None:
    await house.pushed()
    await house.released()
    house.foundry.agents[AGENT].routing = Routing()  # what a read that lags shows of our own change
    for _ in range(2):
        await resume_releases(house.agents, house.outside)
    assert "DRIFT" not in house.journal.reasons()
    house.foundry.agents[AGENT].routing = Routing.to("1")
    house.clock.passed += 300
    await resume_releases(house.agents, house.outside)
    assert "DRIFT" not in house.journal.reasons()
    house.foundry.agents[AGENT].routing = Routing()
    for _ in range(3):
        await resume_releases(house.agents, house.outside)
    (line,) = [one for one in house.journal.lines if one["reason"] == "DRIFT"]
    assert line["detail"] == "the traffic goes to the newest version; Slipway sent it to 1"
    assert house.foundry.agents[AGENT].routing == Routing()
    house.foundry.agents[AGENT].routing = Routing.to("1")
    await resume_releases(house.agents, house.outside)
    house.foundry.agents[AGENT].routing = Routing()
    await resume_releases(house.agents, house.outside)
    assert house.journal.reasons().count("DRIFT") == 2


async def test_drift_waits_for_a_release_that_is_at_the_agent(house: House) -> None:
    await house.pushed()
    await house.released()
    house.clock.passed += 300
    house.foundry.agents[AGENT].routing = Routing()
    lease = await house.ledger.acquire_lease(AGENT)
    await resume_releases(house.agents, house.outside)
    assert "DRIFT" not in house.journal.reasons()
    assert lease is not None
    await lease.release()
    await resume_releases(house.agents, house.outside)
    assert "DRIFT" in house.journal.reasons()


async def test_a_changed_agents_yaml_is_released_after_the_next_timer_and_once(house: House) -> None:
    await house.pushed()
    await house.released()
    await resume_releases(house.agents, house.outside)
    house.agents = load_agents(RULES.replace(b"{KEY:", b"{MODE: fast, KEY:"))
    house.queue.sent.clear()
    for _ in range(2):
        await resume_releases(house.agents, house.outside)
    assert house.queue.sent.count((AGENT, 30.0)) == 1
    assert house.journal.reasons().count("CONFIG_CHANGED") == 1
    house.clock.passed += 30
    assert await house.released() == "LIVE"
    assert house.foundry.environment(AGENT, "2")["MODE"] == "fast"


async def test_a_deployment_asks_the_registry_for_what_the_new_rule_follows(house: House) -> None:
    await resume_releases(house.agents, house.outside)
    house.images.tags["agents/other"] = [RegistryTag("v7", f"sha256:{'7' * 64}", house.clock.now())]
    house.agents = load_agents(RULES.replace(b"agents/hello", b"agents/other"))
    await resume_releases(house.agents, house.outside)
    assert "MISSED_PUSH_FOUND" in house.journal.reasons()


async def test_a_secret_found_by_its_tag_alone_reaches_its_agent(house: House) -> None:
    await house.pushed()
    await house.released("twin-agent")
    house.vault.put("late-key", "1", tags={"agent": "twin-agent", "env": "LATE"})
    house.queue.sent.clear()
    await house.event(secret_event(data={"Id": f"https://demo-vault.vault.azure.net/secrets/Late-Key/{'0' * 32}"}))
    assert [agent for agent, _ in house.queue.sent] == ["twin-agent"]


async def test_a_rotation_reaches_what_serves_when_the_last_push_could_not_start(house: House) -> None:
    await house.pushed()
    await house.released()
    house.foundry.failures["b" * 64] = Failure("ImageError", "exited with 1")
    await house.pushed("v2", "b")
    house.clock.passed += 60
    assert await house.released() == "IMAGE_ERROR"
    for value in ("canary-2", "canary-3"):
        house.vault.put("hello-key", value)
        await house.event(secret_event())
        house.clock.passed += 60
        assert await house.released() == "LIVE"
        live = await house.live() or ""
        assert house.foundry.environment(AGENT, live)["KEY"] == value
        version = await house.foundry.get_version(AGENT, live)
        assert version is not None
        assert version.image.endswith("a" * 64)


async def test_a_secret_that_was_disabled_meanwhile_reaches_what_serves_and_tries_no_broken_push_again(
    house: House,
) -> None:
    await house.pushed()
    await house.released()
    house.foundry.failures["b" * 64] = Failure("ImageError", "exited with 1")
    await house.pushed("v2", "b")
    house.clock.passed += 60
    assert await house.released() == "IMAGE_ERROR"
    for value, enabled, ends in (("", False, "SECRET_DISABLED"), ("", False, "SECRET_DISABLED"), ("new", True, "LIVE")):
        house.vault.put("hello-key", value, enabled=enabled)
        await house.event(secret_event())
        house.clock.passed += 60
        before = len(house.foundry.agents[AGENT].versions)
        assert await house.released() == ends
        assert len(house.foundry.agents[AGENT].versions) - before == (1 if enabled else 0)
    version = await house.foundry.get_version(AGENT, await house.live() or "")
    assert version is not None
    assert version.image.endswith("a" * 64)
    assert house.foundry.environment(AGENT, version.number)["KEY"] == "new"


async def test_a_mended_secret_releases_the_push_that_it_stopped(house: House) -> None:
    await house.pushed()
    await house.released()
    house.vault.put("hello-key", "", enabled=False)
    await house.pushed("v2", "b")
    assert await house.released() == "SECRET_DISABLED"
    house.vault.put("hello-key", "canary-2")
    await house.event(secret_event())
    house.clock.passed += 60
    assert await house.released() == "LIVE"
    version = await house.foundry.get_version(AGENT, await house.live() or "")
    assert version is not None
    assert version.image.endswith("b" * 64)
