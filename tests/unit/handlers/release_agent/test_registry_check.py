"""Before a release the registry is asked: each row of what it may say, over the real handlers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.image_manifest import ImageFacts
from core.intake.registry_check import next_registry_read
from core.model import Failure, Push, Routing
from core.state.desired import Cause
from handlers import user_commands
from handlers.gateways.errors import PermanentError, TransientError
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, REPOSITORY, App, rotate
from tests.support.builders import push_data, push_event

NOT_AN_IMAGE = ImageFacts("NOT_AN_IMAGE", "its configuration is a build cache")
WRONG_PLATFORM = ImageFacts("WRONG_PLATFORM", "linux/amd64 is needed; there is linux/arm64")
SPEC = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    %s
    release: {debounce: 0s, %s}
"""


def make(agent_keys: str = "", release_keys: str = "") -> App:
    return App(clock=VirtualClock(), agents=load_agents((SPEC % (agent_keys, release_keys)).encode()))


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def store(app: App, tag: str, letter: str, facts: ImageFacts | None = None, at: datetime | None = None) -> None:
    """Push to the registry; the event is sent by ``tell``."""
    app.registry.push(REPOSITORY, tag, digest(letter), at or app.clock.now(), facts)


async def tell(app: App, tag: str, letter: str, at: datetime | None = None) -> None:
    """Deliver the event of a push."""
    time = (at or app.clock.now()).isoformat()
    await app.event(
        push_event(id=f"{tag} {letter} {time}", eventTime=time, data=push_data(tag=tag, digest=digest(letter)))
    )


async def push(app: App, tag: str, letter: str, facts: ImageFacts | None = None) -> None:
    store(app, tag, letter, facts)
    await tell(app, tag, letter)


async def live_image(app: App) -> str:
    agent = app.foundry.agents[AGENT]
    return agent.versions[agent.routing.pinned or ""].image.rpartition(":")[2][:1]


async def settle(app: App) -> None:
    """Handle every message that is due within minutes."""
    while (
        app.release_queue.waiting and min(item.due for item in app.release_queue.waiting) < app.clock.monotonic() + 600
    ):
        message = min(app.release_queue.waiting, key=lambda item: item.due)
        app.release_queue.waiting.remove(message)
        await app.clock.sleep(max(0.0, message.due - app.clock.monotonic()))
        await app.released()


async def live(app: App, tag: str = "v1", letter: str = "a") -> App:
    await push(app, tag, letter)
    await settle(app)
    assert await live_image(app) == letter
    await app.clock.sleep(3600)
    return app


@pytest.mark.parametrize("facts", [NOT_AN_IMAGE, WRONG_PLATFORM], ids=lambda facts: facts.reason)
@pytest.mark.parametrize("released_first", [True, False], ids=["v2 is under way", "v2 waits"])
@in_virtual_time
async def test_a_push_that_cannot_be_deployed_displaces_nothing(facts: ImageFacts, *, released_first: bool) -> None:
    app = await live(make())
    await push(app, "v2", "b")
    if released_first:
        app.foundry.provisioning = 30.0

        async def later() -> None:
            await app.clock.sleep(10)
            await push(app, "cache", "c", facts)

        await asyncio.gather(app.released(), later())
    else:
        await push(app, "cache", "c", facts)
    await settle(app)
    assert await live_image(app) == "b"
    reasons = app.journal.reasons()
    assert reasons.count(facts.reason) == 1
    assert reasons.count("LIVE") == 2
    assert "SUPERSEDED" not in reasons
    assert len(app.foundry.agents[AGENT].versions) == 2
    desired = await app.state_store.get_desired(AGENT)
    release = await app.state_store.get_release(AGENT)
    assert (desired.push and desired.push.tag, release.observed_generation) == ("v2", desired.generation)
    assert desired.last_rejection is not None
    assert (desired.last_rejection.push.tag, desired.last_rejection.detail) == ("cache", facts.detail)
    assert all(entry.reason != "SUPERSEDED" for entry in release.history)


@in_virtual_time
async def test_a_rejected_push_is_not_chosen_again() -> None:
    app = await live(make())
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await settle(app)
    await tell(app, "cache", "c")
    assert app.journal.reasons()[-1] == "NOT_AN_IMAGE"
    assert not app.release_queue.waiting
    await app.clock.sleep(86_401)
    await resume_releases(app.agents, app.gateways)
    assert not app.release_queue.waiting
    await rotate(app, "new")
    await settle(app)
    assert (await live_image(app), len(app.foundry.agents[AGENT].versions)) == ("a", 2)
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    await settle(app)
    assert app.journal.reasons().count("NOT_AN_IMAGE") == 2
    assert await live_image(app) == "a"


@in_virtual_time
async def test_an_operator_may_ask_for_a_rejected_push_again() -> None:
    app = await live(make())
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await settle(app)
    chosen = Push(REPOSITORY, digest("c"), "cache", app.clock.now(), "person")
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways, chosen)
    await settle(app)
    assert app.journal.reasons().count("NOT_AN_IMAGE") == 2
    desired = await app.state_store.get_desired(AGENT)
    assert (desired.push and desired.push.tag, desired.newest_push) == ("v1", None)


@in_virtual_time
async def test_a_rejected_push_neither_overwrites_a_persons_routing_nor_voids_a_rollback() -> None:
    app = await live(make())
    await push(app, "v2", "b")
    await settle(app)
    await user_commands.request_rollback(AGENT, "bad", "ann", app.gateways, "1")
    await settle(app)
    before = await app.state_store.get_desired(AGENT)
    assert before.rollback is not None
    await app.clock.sleep(600)
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await settle(app)
    after = await app.state_store.get_desired(AGENT)
    assert after.rollback == replace(before.rollback, generation=after.generation)
    assert (after.push, after.newest_push, after.user_generation) == (
        before.push,
        before.newest_push,
        before.user_generation,
    )
    app.foundry.agents[AGENT].routing = Routing.to("2")
    await app.clock.sleep(600)
    await push(app, "arm", "d", WRONG_PLATFORM)
    await settle(app)
    assert app.foundry.agents[AGENT].routing == Routing.to("2")
    assert "WRONG_PLATFORM" in app.journal.reasons()


@in_virtual_time
async def test_the_first_push_of_an_agent_may_be_rejected_and_is_published() -> None:
    app = make()
    await push(app, "arm", "c", WRONG_PLATFORM)
    await settle(app)
    release, desired = await app.state_store.get_release(AGENT), await app.state_store.get_desired(AGENT)
    assert (release.reason, release.detail) == ("WRONG_PLATFORM", WRONG_PLATFORM.detail)
    assert (desired.push, release.observed_generation) == (None, desired.generation)
    (event,) = app.outcome_publisher.published.values()
    assert (event.type, event.data["digest"]) == ("Slipway.Release.Failed", digest("c"))
    assert app.foundry.create_count == 0
    await app.released()
    assert app.journal.reasons().count("WRONG_PLATFORM") == 1
    await push(app, "v1", "a")
    await settle(app)
    assert await live_image(app) == "a"


@in_virtual_time
async def test_the_registrys_newest_image_is_released_where_no_push_was_desired_before() -> None:
    app = make()
    store(app, "v1", "a")
    await app.clock.sleep(60)
    for number, letter in enumerate("cde"):
        await push(app, f"cache-{number}", letter, NOT_AN_IMAGE)
        await app.clock.sleep(1)
    await settle(app)
    assert await live_image(app) == "a"
    assert app.journal.reasons().count("NOT_AN_IMAGE") == 3


@in_virtual_time
async def test_a_rotation_beside_a_rejected_push_is_released_with_the_push_before() -> None:
    app = await live(make())
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await rotate(app, "rotated")
    await settle(app)
    assert (await live_image(app), await app.live()) == ("a", "2")
    assert app.foundry.environment(AGENT, "2")["KEY"] == "rotated"


@in_virtual_time
async def test_a_tag_pushed_a_b_a_ends_at_a_although_the_event_of_b_comes_last() -> None:
    app = make()
    begin = app.clock.now()
    store(app, "latest", "a")
    await tell(app, "latest", "a", begin)
    await settle(app)
    store(app, "latest", "b", at=begin + timedelta(seconds=1))
    store(app, "latest", "a", at=begin + timedelta(seconds=2))
    await tell(app, "latest", "a", begin + timedelta(seconds=2))
    await tell(app, "latest", "b", begin + timedelta(seconds=1))
    await settle(app)
    assert await live_image(app) == "a"
    assert app.foundry.create_count == 1
    assert "TAG_MOVED" in app.journal.reasons()


@in_virtual_time
async def test_a_late_event_of_a_replica_brings_no_older_build_back() -> None:
    app = await live(make(), "latest", "a")
    await push(app, "latest", "b")
    await settle(app)
    await app.clock.sleep(60)
    before = await app.state_store.get_desired(AGENT)
    await tell(app, "latest", "a")  # with the time at which the replica was ready
    await settle(app)
    after = await app.state_store.get_desired(AGENT)
    assert (await live_image(app), app.foundry.create_count) == ("b", 2)
    assert (after.push and after.push.digest, after.user_generation) == (digest("b"), before.user_generation)
    assert app.journal.reasons().count("TAG_MOVED") == 1


@in_virtual_time
async def test_a_registry_that_still_names_the_older_digest_is_asked_again() -> None:
    app = await live(make(), "latest", "a")
    app.registry.images[REPOSITORY, digest("b")] = ImageFacts(amd64=digest("b"))
    await tell(app, "latest", "b")
    await app.released()
    desired = await app.state_store.get_desired(AGENT)
    assert (desired.push and desired.push.digest, desired.unconfirmed is not None) == (digest("a"), True)
    assert app.foundry.create_count == 1
    await app.clock.sleep(20)
    store(app, "latest", "b")
    await settle(app)
    assert (await live_image(app), app.foundry.create_count) == ("b", 2)
    assert (await app.state_store.get_desired(AGENT)).unconfirmed is None


@in_virtual_time
async def test_the_registry_is_asked_again_after_a_release_that_was_under_way() -> None:
    app = await live(make(), "latest", "a")
    await push(app, "v2", "b")
    await app.released()
    desired = await app.state_store.get_desired(AGENT)
    lagging = Push(REPOSITORY, digest("c"), "v2", app.clock.now() + timedelta(seconds=1), "event")
    app.state_store.desired[AGENT] = replace(desired, unconfirmed=lagging)
    app.registry.images[REPOSITORY, digest("c")] = ImageFacts(amd64=digest("c"))
    await rotate(app, "again")
    await app.released()
    store(app, "v2", "c", at=app.clock.now())
    await settle(app)
    assert await live_image(app) == "c"


@in_virtual_time
async def test_a_newer_tag_whose_event_was_lost_is_released_instead() -> None:
    app = make()
    await push(app, "v1", "a")
    store(app, "v2", "b", at=app.clock.now() + timedelta(seconds=1))
    await settle(app)
    assert (await live_image(app), app.foundry.create_count) == ("b", 1)
    (line,) = [line for line in app.journal.lines if line["reason"] == "MISSED_PUSH_FOUND"]
    assert (line["tag"], line["detail"]) == ("v2", "v2 is newer than v1")


@in_virtual_time
async def test_an_event_with_a_time_in_the_future_does_not_win() -> None:
    app = make()
    store(app, "v1", "a")
    await tell(app, "v1", "a", app.clock.now() + timedelta(days=365 * 70))
    await settle(app)
    await app.clock.sleep(10)
    await push(app, "v2", "b")
    await settle(app)
    assert await live_image(app) == "b"


@in_virtual_time
async def test_neither_newer_nor_moved_tags_correct_what_an_operator_chose() -> None:
    app = await live(make())
    await push(app, "v2", "b")
    await settle(app)
    await user_commands.request_release(
        app.agents.agents[AGENT], "ann", app.gateways, Push(REPOSITORY, digest("a"), "v1", app.clock.now(), "person")
    )
    store(app, "v1", "d")
    store(app, "v3", "c")
    await settle(app)
    assert await live_image(app) == "a"
    await app.clock.sleep(86_401)
    await resume_releases(app.agents, app.gateways)
    await settle(app)
    assert await live_image(app) in ("c", "d"), "but a newer push does, once it is found"


@in_virtual_time
async def test_a_fresh_image_is_waited_for_and_then_released() -> None:
    app = await live(make())
    await tell(app, "v2", "b")
    await app.released()
    assert app.journal.reasons()[-1] == "IMAGE_LAGS"
    await app.clock.sleep(60)
    store(app, "v2", "b", at=app.clock.now() - timedelta(seconds=60))
    await settle(app)
    assert await live_image(app) == "b"
    assert app.journal.reasons().count("IMAGE_LAGS") == 1, "reported once, however often the registry is asked"


@in_virtual_time
async def test_an_image_that_never_comes_is_gone_after_a_while_and_displaces_nothing() -> None:
    app = await live(make(release_keys="readable_within: 2m"))
    began = app.clock.monotonic()
    await tell(app, "v2", "b")
    await settle(app)
    assert "IMAGE_GONE" in app.journal.reasons()
    assert 120 <= app.clock.monotonic() - began < 150
    desired = await app.state_store.get_desired(AGENT)
    assert (desired.push and desired.push.tag, await live_image(app)) == ("v1", "a")
    await push(app, "v2", "b")  # the same digest is pushed again
    await settle(app)
    assert await live_image(app) == "b"


@in_virtual_time
async def test_a_newer_tag_is_released_while_an_image_lags() -> None:
    app = await live(make())
    await tell(app, "v2", "b")
    store(app, "v3", "c", at=app.clock.now() + timedelta(seconds=1))
    await settle(app)
    assert await live_image(app) == "c"


@in_virtual_time
async def test_a_release_under_way_goes_on_while_a_newer_image_lags() -> None:
    app = await live(make())
    app.foundry.provisioning = 30.0
    await push(app, "v2", "b")

    async def later() -> None:
        await app.clock.sleep(10)
        await tell(app, "v3", "c")

    await asyncio.gather(app.released(), later())
    assert await live_image(app) == "b"
    assert "SUPERSEDED" not in app.journal.reasons()
    store(app, "v3", "c")
    await app.released()
    assert await live_image(app) == "c"


@in_virtual_time
async def test_an_image_that_lags_is_waited_for_beside_a_version_that_waits_for_approval() -> None:
    app = make(release_keys="mode: manual")
    await push(app, "v1", "a")
    await settle(app)
    assert app.journal.reasons()[-1] == "APPROVAL_WAITING"
    await tell(app, "v2", "b")
    await app.released()
    await app.clock.sleep(5)
    store(app, "v2", "b")
    await settle(app)
    assert app.journal.reasons().count("APPROVAL_WAITING") == 2
    release = await app.state_store.get_release(AGENT)
    assert release.push is not None
    assert release.push.tag == "v2"


@in_virtual_time
async def test_a_rejected_push_does_not_ask_for_an_approval_twice() -> None:
    app = make(release_keys="mode: manual")
    await push(app, "v1", "a")
    await settle(app)
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await settle(app)
    assert app.journal.reasons().count("APPROVAL_WAITING") == 1
    await user_commands.approve(AGENT, "ann", app.gateways)
    await settle(app)
    assert await live_image(app) == "a"


@in_virtual_time
async def test_the_image_of_a_good_version_may_be_gone_and_stays_desired() -> None:
    app = await live(make())
    state = app.state_store.releases[AGENT]
    state.state = replace(state.state, image_facts={})
    app.registry.images[REPOSITORY, digest("f")] = ImageFacts()
    del app.registry.images[REPOSITORY, digest("a")]
    await rotate(app, "rotated")
    await settle(app)
    assert (await app.state_store.get_release(AGENT)).reason == "IMAGE_GONE"
    desired = await app.state_store.get_desired(AGENT)
    assert (desired.push and desired.push.tag, desired.rejected) == ("v1", ())


@in_virtual_time
async def test_a_version_that_could_not_be_pulled_while_its_image_was_fresh_is_created_once_more() -> None:
    app = make()
    app.foundry.failures["a" * 64] = Failure("ImageError", "manifest unknown")
    await push(app, "v1", "a")
    await app.released()
    assert app.journal.reasons()[-1] == "IMAGE_LAGS"
    app.foundry.failures.clear()
    await settle(app)
    assert await live_image(app) == "a"


@in_virtual_time
async def test_it_is_not_created_a_third_time() -> None:
    app = make()
    app.foundry.failures["a" * 64] = Failure("AcrImageNotFound", "")
    await push(app, "v1", "a")
    await settle(app)
    assert (await app.state_store.get_release(AGENT)).reason == "IMAGE_ERROR"
    assert app.journal.reasons().count("CREATE") <= 3, "the failed duplicate is deleted and created again"
    assert app.journal.reasons().count("IMAGE_ERROR") == 1


@pytest.mark.parametrize(
    ("failure", "age"),
    [
        (Failure("ImageError", "the container exited with code 1"), 0.0),
        (Failure("UnauthorizedAcrPull", ""), 0.0),
        (Failure("ProvisioningError", "manifest unknown"), 0.0),
        (Failure("ImageError", "manifest unknown"), 301.0),
    ],
    ids=["it stopped", "no role", "another code", "an old push"],
)
@in_virtual_time
async def test_other_failures_are_not_tried_again(failure: Failure, age: float) -> None:
    app = make()
    app.foundry.failures["a" * 64] = failure
    store(app, "v1", "a")
    await tell(app, "v1", "a", app.clock.now() - timedelta(seconds=age))
    app.registry.tags.clear()
    await settle(app)
    assert app.journal.reasons().count("CREATE") == 1


@in_virtual_time
async def test_tags_that_cannot_be_listed_stop_nothing_unless_the_answer_is_required() -> None:
    for inspect, error, tag in (
        ("best-effort", TransientError("registry", "503", "list"), "LIVE"),
        ("required", PermanentError("registry", "403", "list", status=403), "LIVE"),
        ("required", TransientError("registry", "503", "list"), "SERVICE_UNAVAILABLE"),
    ):
        app = make(f"inspect: {inspect}")
        app.registry.tag_error = error
        await push(app, "v1", "a")
        await app.released()
        assert app.journal.reasons()[-1] == tag


@in_virtual_time
async def test_the_daily_run_repairs_a_tag_that_moved_without_an_event() -> None:
    app = await live(make(), "latest", "a")
    store(app, "latest", "b")
    await app.clock.sleep(86_401)
    await resume_releases(app.agents, app.gateways)
    await settle(app)
    assert await live_image(app) == "b"
    assert "TAG_MOVED" in app.journal.reasons()


@in_virtual_time
async def test_a_tag_that_moved_to_what_cannot_be_deployed_leaves_the_image_before() -> None:
    app = await live(make(), "latest", "a")
    await push(app, "latest", "c", WRONG_PLATFORM)
    await settle(app)
    await rotate(app, "rotated")
    await settle(app)
    assert (await live_image(app), await app.live()) == ("a", "2")
    assert app.journal.reasons().count("WRONG_PLATFORM") == 1


@in_virtual_time
async def test_a_changed_agents_file_is_not_lost_with_a_rejected_push() -> None:
    app = await live(make())
    app.agents = load_agents((SPEC % ("cpu: '2'\n    memory: 4Gi", "")).encode())
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await settle(app)
    assert (await live_image(app), await app.live()) == ("a", "2")


@in_virtual_time
async def test_what_changes_between_decision_and_write_is_not_overwritten() -> None:
    app = await live(make())
    await push(app, "cache", "c", NOT_AN_IMAGE)
    update = app.state_store.update_desired

    async def raced(agent: str, change: Any) -> Any:
        app.state_store.update_desired = update  # type: ignore[method-assign]
        await app.clock.sleep(1)
        await push(app, "v2", "b")
        return await update(agent, change)

    app.state_store.update_desired = raced  # type: ignore[method-assign]
    await settle(app)
    assert await live_image(app) == "b"
    desired = await app.state_store.get_desired(AGENT)
    assert (desired.push and desired.push.tag, desired.cause) == ("v2", Cause.PUSH)


@in_virtual_time
async def test_a_push_whose_event_lost_against_a_rejected_one_is_not_lost() -> None:
    app = await live(make())
    begin = app.clock.now()
    store(app, "v2", "b", at=begin)
    store(app, "cache", "c", NOT_AN_IMAGE, at=begin + timedelta(seconds=1))
    await app.clock.sleep(2)
    await tell(app, "cache", "c", begin + timedelta(seconds=1))
    await tell(app, "v2", "b", begin)
    assert app.journal.reasons()[-1] == "NOT_NEWER"
    await settle(app)
    assert await live_image(app) == "b"


@in_virtual_time
async def test_a_tag_that_moves_back_past_a_released_image_is_released_again() -> None:
    app = await live(make(), "latest", "a")
    await push(app, "latest", "b")
    await settle(app)
    assert await live_image(app) == "b"
    begin = app.clock.now()
    store(app, "v2", "c", at=begin)
    store(app, "latest", "a", at=begin + timedelta(seconds=1))
    await app.clock.sleep(30)
    await tell(app, "v2", "c", begin)
    await settle(app)
    assert await live_image(app) == "a"


@in_virtual_time
async def test_an_older_answer_of_another_replica_displaces_no_newer_one() -> None:
    app = await live(make(), "latest", "a")
    store(app, "latest", "b")
    await app.clock.sleep(86_401)
    await resume_releases(app.agents, app.gateways)
    await settle(app)
    store(app, "latest", "a", at=app.clock.now() - timedelta(days=2))
    await rotate(app, "rotated")
    await settle(app)
    assert (await live_image(app), app.foundry.create_count) == ("b", 3)


@in_virtual_time
async def test_a_newer_tag_supersedes_a_release_while_the_image_between_them_lags() -> None:
    app = await live(make())
    app.foundry.provisioning = 30.0
    await push(app, "v2", "b")

    async def later() -> None:
        await app.clock.sleep(10)
        await tell(app, "v3", "c")
        store(app, "v4", "d", at=app.clock.now() + timedelta(seconds=1))

    await asyncio.gather(app.released(), later())
    await settle(app)
    assert await live_image(app) == "d"
    assert "SUPERSEDED" in app.journal.reasons()


@pytest.mark.parametrize("year", [1, 2099, 9999])
@in_virtual_time
async def test_a_time_of_the_registry_that_cannot_be_true_wins_nothing(year: int) -> None:
    app = make("tags: {allow: ['^v']}")
    await push(app, "v1", "a")
    await settle(app)
    store(app, "v9", "c", at=datetime(year, 12, 31, 23, 59, tzinfo=UTC))
    await resume_releases(app.agents, app.gateways)
    await app.clock.sleep(60)
    await push(app, "v2", "b")
    await settle(app)
    assert await live_image(app) == "b"


def test_a_stored_time_that_cannot_be_true_does_not_overflow() -> None:
    agents, now = make().agents, datetime(2026, 1, 1, tzinfo=UTC)
    stored = Push(REPOSITORY, digest("a"), "v1", datetime.max.replace(tzinfo=UTC), "event")
    assert now < next_registry_read(stored, agents.agents[AGENT], now) <= now + timedelta(minutes=1)


@pytest.mark.parametrize("letter", ["a", "b"], ids=["the image of an ignored tag", "the live image"])
@in_virtual_time
async def test_a_tag_that_only_an_event_names_is_not_believed(letter: str) -> None:
    app = make('tags: {order: semver, range: ">=2.0.0 <3.0.0"}')
    await push(app, "1.0.0", "a")
    await live(app, "2.0.0", "b")
    await app.clock.sleep(3600)
    await tell(app, "2.999.999", letter, at=app.clock.now() - timedelta(minutes=10))
    await settle(app)
    assert await live_image(app) == "b"
    assert app.foundry.create_count == 1
    assert "TAG_UNKNOWN" in app.journal.reasons()
    await push(app, "2.1.0", "c")
    await settle(app)
    assert await live_image(app) == "c", "the real push is newer than what runs"


@in_virtual_time
async def test_a_forged_tag_of_just_now_does_not_hold_up_a_real_push() -> None:
    app = await live(make("tags: {order: semver}"), "2.0.0", "b")
    began = app.clock.monotonic()
    await tell(app, "2.999.999", "b")
    await push(app, "2.1.0", "c")
    await app.released()
    assert await live_image(app) == "c"
    assert app.clock.monotonic() - began < 60
    await settle(app)
    assert await live_image(app) == "c"


@in_virtual_time
async def test_a_tag_that_the_registry_lists_late_is_waited_for() -> None:
    app = await live(make())
    await tell(app, "v2", "b")
    app.registry.images[REPOSITORY, digest("b")] = ImageFacts(amd64=digest("b"))
    await app.released()
    assert await live_image(app) == "a"
    assert "IMAGE_LAGS" in app.journal.reasons()
    store(app, "v2", "b")
    await settle(app)
    assert await live_image(app) == "b"


@in_virtual_time
async def test_a_rejected_push_does_not_make_an_operators_release_wait_for_its_window() -> None:
    app = make(release_keys="windows: {allow: {days: mon}}")
    await push(app, "v1", "a")
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    await push(app, "cache", "c", NOT_AN_IMAGE)
    await settle(app)
    assert await live_image(app) == "a"
    await push(app, "v2", "b")
    await settle(app)
    assert await live_image(app) == "a"
    assert app.journal.reasons()[-1] == "WINDOW_CLOSED"
