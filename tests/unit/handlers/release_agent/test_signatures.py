"""Releases of agents whose images must be signed, over the real handlers and the real verification of keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from handlers import user_commands
from handlers.gateways.errors import TransientError
from local.signing import public_pem
from tests.support.app import AGENT, REPOSITORY, App, rotate
from tests.support.builders import push_data, push_event
from tests.support.signing import OTHER_KEY, RELEASE_KEY, signature_of

AGENTS = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    release: {debounce: 0s, signed_by: [{key: keys/release.pub}]}
"""


def make() -> App:
    return App(agents=load_agents(AGENTS, lambda _: public_pem(RELEASE_KEY)))


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def sign(app: App, letter: str, key: Any = RELEASE_KEY) -> None:
    app.registry.signatures.setdefault(digest(letter), []).append(signature_of(digest(letter), key))


async def last(app: App) -> dict[str, Any]:
    lines = await app.journal.read_day(app.clock.now())
    return dict(lines[-1])


async def codes(app: App) -> list[object]:
    return [line["reason"] for line in await app.journal.read_day(app.clock.now())]


async def live(app: App, letter: str) -> App:
    """The signed image is live as version 1."""
    await app.pushed("v1", letter)
    sign(app, letter)
    assert await app.released() == "LIVE"
    await app.clock.sleep(3600)
    return app


async def test_a_signed_image_goes_live_and_everybody_sees_by_whom() -> None:
    app = await live(make(), "a")
    release = await app.state_store.get_release(AGENT)
    assert release.last_good is not None
    assert (release.last_good.signer, release.signer) == ("key keys/release.pub",) * 2
    lines = [line for line in await app.journal.read_day(app.clock.now()) if line["reason"] == "LIVE"]
    assert [line["signer"] for line in lines] == ["key keys/release.pub"]
    (event,) = app.outcome_publisher.published.values()
    assert event.data["signer"] == "key keys/release.pub"
    assert app.registry.signatures_asked == 1


async def test_an_image_that_is_signed_after_its_push_waits_and_goes_live() -> None:
    app = make()
    await app.pushed("v1", "a")
    await app.released()
    assert (await last(app))["reason"] == "SIGNATURE_WAITING"
    assert await app.foundry.list_versions(AGENT) == []
    sign(app, "a")
    assert await app.released() == "LIVE"


async def test_the_push_of_a_signature_wakes_the_release() -> None:
    app = make()
    await app.pushed("v1", "a")
    await app.released()
    app.release_queue.waiting.clear()
    unsigned = push_event(data=push_data(tag=None, digest=digest("f")))
    await app.event(unsigned, push_event(data=push_data(tag=digest("a").replace(":", "-"), digest=digest("f"))))
    assert [message.agent for message in app.release_queue.waiting] == [AGENT]
    sign(app, "a")
    assert await app.released() == "LIVE"
    app.release_queue.waiting.clear()
    await app.event(unsigned)
    await app.event(push_event(data=push_data(tag=None, repository="agents/other")))
    assert app.release_queue.waiting == []


async def test_no_message_is_queued_where_no_rule_asks_for_signatures() -> None:
    app = App()
    await app.pushed("v1", "a")
    app.release_queue.waiting.clear()
    await app.event(push_event(data=push_data(tag=None, digest=digest("f"))))
    assert app.release_queue.waiting == []


async def test_an_unsigned_image_is_refused_in_the_end_and_what_runs_stays() -> None:
    app = await live(make(), "a")
    await app.pushed("v2", "b")
    await app.released()
    assert (await last(app))["reason"] == "SIGNATURE_WAITING"
    await app.clock.sleep(601)
    await app.released()
    assert "SIGNATURE_MISSING" in await codes(app)
    assert await app.live() == "1"
    desired = await app.state_store.get_desired(AGENT)
    assert desired.push is not None
    assert (desired.push.digest, dict(desired.rejected_digests)) == (digest("a"), {digest("b"): "SIGNATURE_MISSING"})
    assert len(await app.foundry.list_versions(AGENT)) == 1


async def test_a_wrong_key_is_waited_out_and_named() -> None:
    app = make()
    await app.pushed("v1", "a")
    sign(app, "a", OTHER_KEY)
    await app.released()
    line = await last(app)
    assert line["reason"] == "SIGNATURE_WAITING"
    assert "is signed with another key (hint)" in line["detail"]
    await app.clock.sleep(601)
    await app.released()
    refused = [line for line in await app.journal.read_day(app.clock.now()) if line["reason"] == "SIGNATURE_INVALID"]
    assert "is signed with another key (hint)" in str(refused[0]["detail"])
    assert await app.foundry.list_versions(AGENT) == []


async def test_a_refused_image_is_asked_about_again_once_it_is_pushed_again() -> None:
    app = await live(make(), "a")
    await app.pushed("v2", "b")
    await app.clock.sleep(601)
    await app.released()
    assert (await app.state_store.get_desired(AGENT)).rejected_digests
    sign(app, "b")
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    assert await app.live() == "2"


async def test_without_an_answer_it_waits_for_ever_and_holds_nothing() -> None:
    app = make()
    await app.pushed("v1", "a")
    app.registry.error = TransientError("registry", "503", "read the signatures")
    await app.clock.sleep(86_400)
    await app.released()
    assert (await last(app))["reason"] == "SIGNATURE_UNKNOWN"
    app.registry.error = None
    sign(app, "a")
    assert await app.released() == "LIVE"
    assert not (await app.state_store.get_desired(AGENT)).rejected


async def test_a_rollback_asks_for_no_signature_and_a_rotation_does() -> None:
    app = await live(make(), "a")
    await app.pushed("v2", "b")
    sign(app, "b")
    assert await app.released() == "LIVE"
    await app.clock.sleep(3600)
    app.registry.signatures.clear()
    asked = app.registry.signatures_asked
    await user_commands.request_rollback(AGENT, "because", "tester", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
    assert app.registry.signatures_asked == asked
    await rotate(app, "canary-new")
    await app.released()
    assert app.registry.signatures_asked > asked
    assert len(await app.foundry.list_versions(AGENT)) == 2, "the rolled back image is not signed any more"


async def test_agents_without_the_rule_ask_for_nothing() -> None:
    app = App()
    await app.pushed("v1", "a")
    assert await app.released() == "LIVE"
    assert app.registry.signatures_asked == 0


@pytest.mark.parametrize("problem", [b"", b"{}", json.dumps({"mediaType": "x"}).encode(), b"[" * 90_000])
async def test_nonsense_beside_a_signature_changes_nothing(problem: bytes) -> None:
    app = make()
    await app.pushed("v1", "a")
    sign(app, "a")
    app.registry.signatures[digest("a")].insert(0, signature_of(digest("b")))
    assert await app.released() == "LIVE"
    assert app.registry.tags[REPOSITORY]
