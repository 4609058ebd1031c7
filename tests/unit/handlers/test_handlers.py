"""The handlers with gateways in memory: what they store, enqueue and record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from core.agents_file.loader import load_agents
from core.image_manifest import RegistryTag
from core.model import Definition, Failure, Routing, Secret, SecretUnavailable, SecretVersion, Version
from core.state.desired import DesiredState, Pause
from core.state.release import PendingWrite, Phase, WriteKind
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.poison import handle_poison_message
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from tests.support.app import AGENT, AGENTS_YAML, App
from tests.support.builders import push_data, push_event, secret_event


class SlowVault(InMemoryKeyVault):
    """A vault whose reads take longer than the maximum read age."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        await self._clock.sleep(25)
        return await super().get_secret(name, version)


class CrashingFoundry(InMemoryFoundry):
    """A Foundry at whose first create the process crashes, before anything is sent."""

    crashed = False

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        if not self.crashed:
            self.crashed = True
            raise asyncio.CancelledError
        return await super().create_version(agent, definition, metadata)


VAULT = "https://demo-vault.vault.azure.net"


@pytest.fixture
def app() -> App:
    return App()


async def test_a_push_updates_every_agent_that_follows_the_repository(app: App) -> None:
    await app.pushed()
    assert [agent for agent, _ in app.release_queue.sent] == [AGENT, "second-agent"]
    assert (await app.state_store.get_desired(AGENT)).generation == 1
    assert app.journal.reasons() == ["ACCEPTED", "ACCEPTED"]


async def test_a_push_delivered_twice_changes_the_state_once_and_enqueues_twice(app: App) -> None:
    await app.event(push_event(), push_event())
    assert (await app.state_store.get_desired(AGENT)).generation == 1
    assert [agent for agent, _ in app.release_queue.sent].count(AGENT) == 2


async def test_a_dry_run_records_its_decision_and_changes_nothing(app: App) -> None:
    await app.event(push_event(id="try", data=push_data() | {"dry_run": True}))
    await app.event(secret_event(id="try", data=secret_event()["data"] | {"dry_run": True}))
    recorded = [(line["agent"], line["reason"], line["step"]) for line in app.journal.lines if line["dry_run"] is True]
    both = [(agent, "ACCEPTED", "dry_run") for agent in (AGENT, "second-agent")]
    assert recorded == [*both, (AGENT, "NO_PUSH_YET", "dry_run")]
    assert not any("generation" in line for line in app.journal.lines)
    assert app.release_queue.sent == []
    assert await app.state_store.get_desired(AGENT) == DesiredState()


async def test_ignored_events_are_recorded(app: App) -> None:
    await app.event(push_event(data=push_data(repository="agents/nobody")), push_event(topic="x"), 7)
    assert app.journal.reasons() == ["NOT_FOLLOWED", "OTHER_REGISTRY", "MALFORMED_EVENT"]
    assert app.release_queue.sent == []


async def test_a_pushed_image_goes_live_with_its_secret_and_tools(app: App) -> None:
    await app.pushed()
    assert await app.released() == "LIVE"
    environment = app.foundry.environment(AGENT, "1")
    assert environment["KEY"] == "canary-3c2d"
    assert environment["SLIPWAY_TOOLBOX_NAME"] == "hello-agent-tools"
    assert await app.live() == "1"
    assert "canary-3c2d" not in json.dumps(app.journal.lines, default=str) + repr(app.state_store.releases)
    assert app.journal.reasons()[2:] == ["BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE"]


async def test_a_vault_slower_than_the_maximum_read_age_only_delays_a_release() -> None:
    clock = ManualClock()
    app = App(clock=clock, key_vault=SlowVault(clock))
    await app.pushed()
    assert await app.released() == "LIVE"
    app.foundry.agents[AGENT].routing = Routing()
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    assert clock.passed < 300


async def test_a_crash_before_the_create_is_recovered_with_a_slow_vault_too() -> None:
    clock = ManualClock()
    app = App(clock=clock, key_vault=SlowVault(clock), kind=CrashingFoundry)
    await app.pushed()
    with pytest.raises(asyncio.CancelledError):
        await app.released()
    clock.passed += 60
    assert await app.released() == "LIVE"


async def test_a_newer_push_is_pinned_created_and_made_live(app: App) -> None:
    await app.pushed()
    await app.released()
    app.foundry.agents[AGENT].routing = Routing()
    await app.pushed("v2", "b")
    app.state_store.releases[AGENT].state = replace(app.state_store.releases[AGENT].state, expected_routing=Routing())
    assert await app.released() == "LIVE"
    assert app.journal.reasons()[-6:] == ["PIN", "BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE"]
    assert await app.live() == "2"


async def test_a_push_during_the_pin_is_created_from_its_own_image(app: App) -> None:
    await app.pushed()
    await app.released()
    app.foundry.agents[AGENT].routing = Routing()
    app.state_store.releases[AGENT].state = replace(app.state_store.releases[AGENT].state, expected_routing=Routing())
    await app.pushed("v2", "b")
    app.clock.passed += 60
    route = app.foundry.set_routing

    async def push_comes_meanwhile(agent: str, to: Routing) -> Routing:
        app.foundry.set_routing = route  # type: ignore[method-assign]
        await app.pushed("v3", "c")
        return await route(agent, to)

    app.foundry.set_routing = push_comes_meanwhile  # type: ignore[method-assign]
    assert await app.released() == "LIVE"
    assert app.foundry.agents[AGENT].versions["2"].image.endswith("c" * 64)
    assert app.foundry.create_count == 2  # the first push's and this one's: the desired state is read beside the intent


async def test_the_same_digest_under_a_second_tag_creates_no_second_version(app: App) -> None:
    await app.pushed()
    await app.released()
    app.clock.passed += 60
    await app.pushed("stable")
    assert await app.released() == "ALREADY_LIVE"
    assert app.foundry.create_count == 1


async def test_an_image_that_cannot_start_leaves_the_old_version_live(app: App) -> None:
    await app.pushed()
    await app.released()
    app.foundry.failures["b" * 64] = Failure("ImageError", "cannot start")
    app.clock.passed += 60
    await app.pushed("v2", "b")
    assert await app.released() == "IMAGE_ERROR"
    assert await app.live() == "1"
    assert "cannot start" in (await app.state_store.get_release(AGENT)).detail


async def test_a_failed_duplicate_is_deleted_and_created_again(app: App) -> None:
    app.foundry.failures["a" * 64] = Failure("ImageError", "no right to pull")
    await app.pushed()
    assert await app.released() == "IMAGE_ERROR"
    app.foundry.failures.clear()
    app.clock.passed += 60
    await app.pushed("again")
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    assert "DELETE_DUPLICATE" in app.journal.reasons()


@pytest.mark.parametrize(
    ("enabled", "reason"), [(False, "SECRET_DISABLED"), (None, "SECRET_MISSING")], ids=["disabled", "missing"]
)
async def test_an_unreadable_secret_ends_the_release_before_a_create(
    app: App, enabled: bool | None, reason: str
) -> None:
    if enabled is None:
        app.key_vault.versions.clear()
    else:
        app.key_vault.put("hello-key", "x", enabled=enabled)
    await app.pushed()
    assert await app.released() == reason
    assert app.foundry.create_count == 0
    assert "hello-key of variable KEY" in str(app.journal.lines[-1]["detail"])


async def test_tagged_secrets_reach_their_variables(app: App) -> None:
    app.key_vault.put("tagged-key", "canary-77", tags={"agent": "second-agent", "env": "TAGGED"})
    await app.pushed()
    assert await app.released("second-agent") == "LIVE"
    assert app.foundry.environment("second-agent", "1") == {"TAGGED": "canary-77"}


async def test_a_vault_that_forbids_listing_ends_the_release(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed()
    assert await app.released("second-agent") == "SECRET_FORBIDDEN"
    assert await app.key_vault.get_secret("hello-key", None) is SecretUnavailable.FORBIDDEN


async def test_rotations_create_one_version_after_the_debounce_time(app: App) -> None:
    await app.pushed()
    await app.released()
    app.key_vault.put("hello-key", "canary-new")
    await app.event(*(secret_event(id=f"s{n}") for n in range(3)))
    assert app.release_queue.sent[-1] == (AGENT, 30.0)
    assert await app.released() == "LIVE"
    assert app.release_queue.sent[-1][1] == pytest.approx(30.0), "not due yet: requeued"
    assert app.foundry.create_count == 1
    app.clock.passed += 31
    await app.released()
    assert app.foundry.create_count == 2
    assert app.foundry.environment(AGENT, "2")["KEY"] == "canary-new"


async def test_on_secret_change_notify_reports_once_and_releases_nothing(app: App) -> None:
    app.agents = load_agents(
        b"""
defaults: {repository: agents/hello, env: {KEY: {secret: hello-key}}}
agents:
  hello-agent: {release: {on_secret_change: notify}}
  quiet-agent: {release: {on_secret_change: ignore}}
"""
    )
    await app.pushed()
    await app.released()
    sent = len(app.release_queue.sent)
    await app.event(secret_event(), secret_event())
    rotation = [line for line in app.journal.lines if line.get("cause") == "secret"]
    assert [(line["agent"], line["reason"], line["severity"], line["secret"]) for line in rotation[:2]] == [
        ("hello-agent", "SECRET_CHANGE_REPORTED", "warning", "hello-key"),
        ("quiet-agent", "SECRET_CHANGE_IGNORED", "info", "hello-key"),
    ]
    version = secret_event()["data"]["Id"].rpartition("/")[2]
    assert [event_id for event_id in app.outcome_publisher.published if "secret" in event_id] == [
        f"hello-agent/secret/hello-key/{version}"
    ]
    assert len(app.release_queue.sent) == sent, "nothing is released"


async def test_a_bad_tag_is_a_reason_and_what_serves_goes_on(app: App) -> None:
    await app.pushed()
    assert await app.released("second-agent") == "LIVE"
    app.key_vault.put("bad-tag", "x", tags={"agent": "second-agent", "env": "MY-KEY"})
    await app.pushed("v2", "b")
    assert await app.released("second-agent") == "ENV_NAME_INVALID"
    assert "secret bad-tag" in str(app.journal.lines[-1]["detail"])
    assert len(await app.foundry.list_versions("second-agent")) == 1
    app.key_vault.put("bad-tag", "x", tags={"agent": "second-agent", "env": "MY_KEY"})
    await app.pushed("v3", "c")
    assert await app.released("second-agent") == "LIVE"
    assert app.foundry.environment("second-agent", "2")["MY_KEY"] == "x"


async def test_a_secret_that_no_agent_uses_is_recorded(app: App) -> None:
    body = secret_event()
    body["data"]["Id"] = f"https://v.vault.azure.net/secrets/other/{'0' * 32}"
    await app.event(body)
    assert app.journal.reasons() == ["SECRET_NOT_USED"]


async def test_nothing_happens_while_another_instance_holds_the_lease(app: App) -> None:
    await app.pushed()
    lease = await app.state_store.acquire_lease(AGENT)
    assert lease is not None
    await app.released()
    assert app.journal.reasons()[-1] == "LEASE_TAKEN"
    assert app.foundry.create_count == 0


async def test_a_paused_agent_waits_and_its_line_names_who_paused_it(app: App) -> None:
    await app.pushed()
    paused = Pause("freeze", "ada", app.clock.now())
    await app.state_store.update_desired(AGENT, lambda desired: replace(desired, pause=paused))
    await app.released()
    assert app.journal.lines[-1]["reason"] == "PAUSED"
    assert "ada" in str(app.journal.lines[-1]["detail"])
    assert app.foundry.create_count == 0


async def test_a_refused_create_ends_the_release_with_foundrys_message(app: App) -> None:
    app.agents = load_agents(b"agents: {hello-agent: {repository: agents/hello, cpu: '3'}}")
    await app.pushed()
    assert await app.released() == "CREATE_REFUSED"
    assert "valid resource tier" in (await app.state_store.get_release(AGENT)).detail


async def test_a_create_before_a_crash_is_found_and_not_repeated(app: App) -> None:
    await app.pushed()
    await app.released()
    release = app.state_store.releases[AGENT].state
    doing = PendingWrite(WriteKind.CREATE, app.clock.now(), highest_version=0)
    forgotten = replace(
        release, phase=Phase.STARTED, reason="", candidate=None, last_good=None, pending_write=doing, created_at={}
    )
    app.state_store.releases[AGENT].state = forgotten
    assert await app.released() == "LIVE"
    assert app.foundry.create_count == 1


async def test_messages_without_a_known_agent_are_recorded_and_dropped(app: App) -> None:
    for message in ("{half", "[]", '{"target": 7}', '{"target": "nobody"}'):
        await handle_message(message, app.agents, app.settings, app.gateways)
    assert app.journal.reasons() == ["MALFORMED_MESSAGE"] * 3 + ["AGENT_UNKNOWN"]


async def test_the_timer_enqueues_unfinished_releases_only(app: App) -> None:
    await app.pushed()
    await app.released("second-agent")
    await app.state_store.update_desired("gone-agent", lambda _: DesiredState(generation=1))
    app.release_queue.sent.clear()
    await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent == [(AGENT, 0)]
    assert app.journal.reasons()[-2:] == ["AGENT_UNKNOWN", "REQUEUED"]


async def test_a_poisoned_message_is_stored_in_the_journal_and_logged_without_its_text(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    await handle_poison_message("events", '{"id": "of-the-message"}', app.gateways)
    (line,) = app.journal.lines
    assert (line["reason"], line["queue"], line["message"]) == ("POISONED", "events", '{"id": "of-the-message"}')
    (logged,) = caplog.records
    assert "of-the-message" not in str(vars(logged))


async def test_a_poisoned_message_that_the_journal_refuses_stays_in_its_queue(app: App) -> None:
    app.journal.down = True
    with pytest.raises(TransientError):
        await handle_poison_message("events", "{}", app.gateways)


async def test_drift_is_reported_once_and_never_corrected(app: App) -> None:
    await app.pushed()
    await app.released()
    app.foundry.agents[AGENT].routing = Routing()  # a stale read of our own change
    for _ in range(2):
        await resume_releases(app.agents, app.gateways)
    assert "DRIFT" not in app.journal.reasons()
    app.foundry.agents[AGENT].routing = Routing.to("1")
    app.clock.passed += 300
    await resume_releases(app.agents, app.gateways)
    assert "DRIFT" not in app.journal.reasons()
    app.foundry.agents[AGENT].routing = Routing()
    for _ in range(3):
        await resume_releases(app.agents, app.gateways)
    (line,) = [line for line in app.journal.lines if line["reason"] == "DRIFT"]
    assert line["detail"] == "the traffic goes to the newest version; Slipway sent it to 1"
    assert app.foundry.agents[AGENT].routing == Routing()
    app.foundry.agents[AGENT].routing = Routing.to("1")
    await resume_releases(app.agents, app.gateways)
    app.foundry.agents[AGENT].routing = Routing()
    await resume_releases(app.agents, app.gateways)
    assert app.journal.reasons().count("DRIFT") == 2


async def test_a_live_version_that_became_another_one_is_drift_whatever_its_metadata_says(app: App) -> None:
    await app.pushed()
    await app.released()
    app.clock.passed += 300
    versions = app.foundry.agents[AGENT].versions
    made = versions["1"]
    await resume_releases(app.agents, app.gateways)
    assert "DRIFT" not in app.journal.reasons()
    versions["1"] = replace(made, image=f"demo.azurecr.io/other@sha256:{'e' * 64}", parts={**made.parts, "cpu": "x"})
    for _ in range(2):
        await resume_releases(app.agents, app.gateways)
    (line,) = [line for line in app.journal.lines if line["reason"] == "DRIFT"]
    assert line["detail"] == "version 1 is not as Slipway released it: cpu, image"


async def test_drift_is_not_reported_during_a_release(app: App) -> None:
    await app.pushed()
    await app.released()
    app.clock.passed += 300
    app.foundry.agents[AGENT].routing = Routing()
    lease = await app.state_store.acquire_lease(AGENT)
    await resume_releases(app.agents, app.gateways)
    assert "DRIFT" not in app.journal.reasons()
    assert lease is not None
    await lease.release()
    await resume_releases(app.agents, app.gateways)
    assert "DRIFT" in app.journal.reasons()


async def test_a_changed_agents_yaml_is_released_once_after_the_next_timer_run(app: App) -> None:
    await app.pushed()
    await app.released()
    await resume_releases(app.agents, app.gateways)
    app.agents = load_agents(AGENTS_YAML.replace(b"{KEY:", b"{MODE: fast, KEY:"))
    app.release_queue.sent.clear()
    for _ in range(2):
        await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent.count((AGENT, 30.0)) == 1
    assert app.journal.reasons().count("CONFIG_CHANGED") == 1
    app.clock.passed += 30
    assert await app.released() == "LIVE"
    assert app.foundry.environment(AGENT, "2")["MODE"] == "fast"


async def test_a_changed_agents_yaml_leads_to_a_registry_check(app: App) -> None:
    await resume_releases(app.agents, app.gateways)
    app.registry.tags["agents/other"] = [RegistryTag("v7", f"sha256:{'7' * 64}", app.clock.now())]
    app.agents = load_agents(AGENTS_YAML.replace(b"agents/hello", b"agents/other"))
    await resume_releases(app.agents, app.gateways)
    assert "MISSED_PUSH_FOUND" in app.journal.reasons()


async def test_a_change_of_a_tagged_secret_reaches_its_agent(app: App) -> None:
    await app.pushed()
    await app.released("second-agent")
    app.key_vault.put("late-key", "1", tags={"agent": "second-agent", "env": "LATE"})
    app.release_queue.sent.clear()
    await app.event(secret_event(data={"Id": f"https://demo-vault.vault.azure.net/secrets/Late-Key/{'0' * 32}"}))
    assert [agent for agent, _ in app.release_queue.sent] == ["second-agent"]


async def test_a_rotation_reads_the_tags_of_its_secret_once_for_all_agents(app: App) -> None:
    class CountingKeyVault(InMemoryKeyVault):
        lists = 0

        async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
            self.lists += 1
            return await super().list_secret_versions(name)

        async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
            raise AssertionError("the vault is not listed")

    vault = CountingKeyVault()
    specs = "\n".join(f"  agent-{number}: {{repository: a, env_from_vault: true}}" for number in range(200))
    app.agents = load_agents(f"agents:\n{specs}\n".encode())
    app.gateways = replace(app.gateways, key_vault=vault)
    vault.put("late-key", "1", tags={"agent": "agent-7", "env": "LATE"})
    for name, version, reason in (("late-key", "0", "NO_PUSH_YET"), ("other-key", "0", "SECRET_NOT_USED")):
        await app.event(secret_event(data={"Id": f"{VAULT}/secrets/{name}/{version * 32}"}))
        assert vault.lists == 1
        assert app.journal.reasons() == [reason]
        vault.lists = 0
        app.journal.lines.clear()
    vault.put("late-key", "2", tags={"agent": "agent-7", "env": "LATE"}, enabled=False)
    await app.event(secret_event(data={"Id": f"{VAULT}/secrets/late-key/{'1' * 32}"}))
    assert app.journal.reasons() == ["SECRET_NOT_USED"], "its newest version is disabled"


async def test_a_rotation_reaches_the_live_version_when_the_last_push_failed(app: App) -> None:
    await app.pushed()
    await app.released()
    app.foundry.failures["b" * 64] = Failure("ImageError", "exited with 1")
    await app.pushed("v2", "b")
    app.clock.passed += 60
    assert await app.released() == "IMAGE_ERROR"
    for value in ("canary-2", "canary-3"):
        app.key_vault.put("hello-key", value)
        await app.event(secret_event())
        app.clock.passed += 60
        assert await app.released() == "LIVE"
        live = await app.live() or ""
        assert app.foundry.environment(AGENT, live)["KEY"] == value
        version = await app.foundry.get_version(AGENT, live)
        assert version is not None
        assert version.image.endswith("a" * 64)


async def test_a_secret_enabled_again_reaches_the_live_version_and_retries_no_failed_push(
    app: App,
) -> None:
    await app.pushed()
    await app.released()
    app.foundry.failures["b" * 64] = Failure("ImageError", "exited with 1")
    await app.pushed("v2", "b")
    app.clock.passed += 60
    assert await app.released() == "IMAGE_ERROR"
    for value, enabled, ends in (("", False, "SECRET_DISABLED"), ("", False, "SECRET_DISABLED"), ("new", True, "LIVE")):
        app.key_vault.put("hello-key", value, enabled=enabled)
        await app.event(secret_event())
        app.clock.passed += 60
        before = len(app.foundry.agents[AGENT].versions)
        assert await app.released() == ends
        assert len(app.foundry.agents[AGENT].versions) - before == (1 if enabled else 0)
    version = await app.foundry.get_version(AGENT, await app.live() or "")
    assert version is not None
    assert version.image.endswith("a" * 64)
    assert app.foundry.environment(AGENT, version.number)["KEY"] == "new"


async def test_a_corrected_secret_releases_the_push_that_it_stopped(app: App) -> None:
    await app.pushed()
    await app.released()
    app.key_vault.put("hello-key", "", enabled=False)
    await app.pushed("v2", "b")
    assert await app.released() == "SECRET_DISABLED"
    app.key_vault.put("hello-key", "canary-2")
    await app.event(secret_event())
    app.clock.passed += 60
    assert await app.released() == "LIVE"
    version = await app.foundry.get_version(AGENT, await app.live() or "")
    assert version is not None
    assert version.image.endswith("b" * 64)


def poison_lines(app: App) -> list[tuple[object, object]]:
    lines = [line for line in app.journal.lines if line["reason"] == "POISON_QUEUE_STUCK"]
    return [(line["queue"], line["messages"]) for line in lines]


async def test_messages_that_no_poison_function_takes_are_reported_once(app: App) -> None:
    app.release_queue.stuck = {"events-poison": 2}
    await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == [], "the function may be running"
    for _ in range(3):
        await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == [("events-poison", 2)]
    app.release_queue.stuck["releases-poison"] = 1
    for _ in range(3):
        await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == [("events-poison", 2), ("releases-poison", 1)]


async def test_a_message_that_a_poison_function_takes_is_not_reported(app: App) -> None:
    for count in (1, 0, 3, 0):
        app.release_queue.stuck = {"releases-poison": count}
        await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == []


@pytest.mark.parametrize("marker", ["odd", "1", "1 2 3", "-1 0"])
async def test_a_poison_marker_that_a_person_wrote_counts_as_nothing_seen(app: App, marker: str) -> None:
    app.state_store.markers["events-poison"] = marker
    app.release_queue.stuck = {"events-poison": 1}
    await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == []
    await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == [("events-poison", 1)]


async def test_a_queue_that_cannot_be_counted_stays_as_it_was(app: App) -> None:
    app.release_queue.stuck = {"events-poison": 1}
    await resume_releases(app.agents, app.gateways)
    app.release_queue.error = TransientError("storage", "503", "count")
    await resume_releases(app.agents, app.gateways)
    app.release_queue.error = None
    await resume_releases(app.agents, app.gateways)
    assert poison_lines(app) == [("events-poison", 1)]
