"""What the commands answer, on fakes: words, why, status, prune, adopt, and the sentence for what went wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cli import adopting, explaining, failing, pruning, replaying, views, watching, words
from cli.asking_first import How
from cli.codes import DONE, NOT_WELL, REFUSED, Mistake
from cli.running import House as Running
from cli.screen import Progress
from cli.times import how_long
from core.agents_file.loader import load_agents
from core.image_manifest import RegistryTag
from handlers.gateways.errors import PermanentError, TransientError
from handlers.poison import handle_poison_message
from tests.unit.handlers.test_handlers import AGENT, House

DAY = timedelta(days=1)


@pytest.fixture
def house() -> House:
    return House()


def running(house: House) -> Running:
    return Running(house.agents, house.settings, house.outside, Progress())


async def say(house: House, word: str, agent: str = AGENT, watch: bool = False, **given: Any) -> Any:
    return await words.say(running(house), words.Told(word, agent, {"by": "ann", **given}), watch, as_json=True)


async def live(house: House, *letters: str) -> None:
    for number, letter in enumerate(letters, 1):
        await house.pushed(f"v{number}", letter)
        assert await house.released() == "LIVE"
        house.clock.passed += 100


async def test_a_word_is_written_down_and_said_in_the_journal(house: House) -> None:
    await live(house, "a")
    told = await say(house, "hold", why="a rumour", until="7d")
    assert (told.code, told.data[0]["reason"]) == (DONE, "HOLD_SET")
    (hold,) = (await house.ledger.get_desired(AGENT)).holds
    assert hold.until is not None
    assert hold.until - hold.since == 7 * DAY
    assert "HOLD_SET" in house.journal.reasons()


@pytest.mark.parametrize("word", ["approve", "unhold", "unpause", "request_release"])
def test_what_applies_to_nothing_is_refused(house: House, word: str) -> None:
    import asyncio

    assert asyncio.run(say(house, word)).code == REFUSED


async def test_a_rollback_with_nothing_to_go_back_to_is_refused(house: House) -> None:
    await live(house, "a")
    told = await say(house, "request_rollback", why="it lies")
    assert (told.code, told.data[0]["reason"]) == (REFUSED, "NO_ROLLBACK_VERSION")


async def test_an_image_is_named_by_its_tag_and_released_by_its_digest(house: House) -> None:
    digest = f"sha256:{'b' * 64}"
    house.images.tags["agents/hello"] = [RegistryTag("v7", digest, house.clock.now())]
    await say(house, "request_release", image="demo.azurecr.io/agents/hello:v7")
    push = (await house.ledger.get_desired(AGENT)).push
    assert push is not None
    assert (push.tag, push.digest) == ("v7", digest)
    with pytest.raises(Mistake, match=r"is sha256:b.* now, not"):
        await say(house, "request_release", image=f"agents/hello:v7@sha256:{'c' * 64}")
    with pytest.raises(Mistake, match="the registry has no agents/hello@sha256:c"):
        await say(house, "request_release", image=f"agents/hello@sha256:{'c' * 64}")
    with pytest.raises(Mistake, match="did you mean v7"):
        await say(house, "request_release", image="agents/hello:v77")


async def test_a_watch_ends_with_what_the_release_came_to(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    await live(house, "a")
    since = house.clock.now()
    await say(house, "request_release")
    generation = (await house.ledger.get_desired(AGENT)).generation
    await house.released()
    told = await watching.watch(running(house), {AGENT: generation}, since, as_json=True)
    assert (told.data, told.code) == ({AGENT: "ALREADY_LIVE"}, DONE)
    assert [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()] == [
        "RELEASE_REQUESTED",
        "ALREADY_LIVE",
    ]
    house.vault.forbidden = True
    await say(house, "request_release")
    await house.released()
    told = await watching.watch(running(house), {AGENT: generation + 1}, since, as_json=False)
    assert (told.data, told.code) == ({AGENT: "SECRET_FORBIDDEN"}, NOT_WELL)


async def test_a_watch_stops_where_a_person_is_waited_for(house: House) -> None:
    await house.pushed()
    await say(house, "pause", why="lunch")
    told = await watching.watch(running(house), {AGENT: 1}, house.clock.now(), as_json=True)
    assert told.data == {AGENT: "PAUSED"}


async def test_a_release_that_is_held_is_not_well(house: House) -> None:
    await house.pushed()
    await say(house, "hold", why="a rumour")
    await house.released()
    told = await watching.watch(running(house), {AGENT: 1}, house.clock.now(), as_json=True)
    assert (told.data, told.code) == ({AGENT: "HELD"}, NOT_WELL)


async def test_why_tells_the_whole_way_of_an_image_and_of_an_event_of_no_agent(house: House) -> None:
    await live(house, "a")
    found = await explaining.why(running(house), "v1", DAY)
    assert [one["reason"] for one in found.data["decisions"] if one.get("agent") == AGENT] == [
        *("ACCEPTED", "BEGIN", "CREATE", "CONFIRM", "TRAFFIC_MOVED", "LIVE")
    ]
    by_digest = await explaining.why(running(house), "sha256:aaaaaaaa", DAY)
    assert by_digest.data["decisions"] == found.data["decisions"]
    assert "now: hello-agent good: agents/hello:v1" in found.text
    await house.event(7)
    await house.event({"id": "strange-1", "type": "Something"})
    (told,) = (await explaining.why(running(house), "strange-1", DAY)).data["decisions"]
    assert told["reason"] == "OTHER_EVENT_TYPE"
    nothing = await explaining.why(running(house), "v9", DAY)
    assert (nothing.code, "nothing is known of v9" in nothing.text) == (REFUSED, True)


async def test_why_also_tells_what_a_person_said_of_it_and_what_is_held(house: House) -> None:
    await live(house, "a")
    await say(house, "hold", why="a rumour")
    found = await explaining.why(running(house), "agents/hello:v1", DAY)
    assert any(one["reason"] == "HOLD_SET" for one in found.data["decisions"])
    assert [one["detail"] for one in found.data["ledger"] if one["what"] == "held"] == [
        "HOLD_SET by ann until it is lifted: a rumour"
    ]


async def test_status_says_what_serves_what_is_held_and_when_the_next_prune_is(house: House) -> None:
    await live(house, "a")
    await say(house, "hold", why="a rumour", until="1d")
    await say(house, "pause", why="lunch", until="1h")
    told = await views.status(running(house), AGENT)
    (one,) = told.data
    assert (one["live"], one["versions"], one["quota"], one["next_prune"][:10]) == ("1", 1, "ok", "2026-11-25")
    assert "a rumour" in one["held"][0]
    assert "until 2026-11-25" in one["held"][0]
    assert "paused by ann until 2026-11-24 13:" in told.text
    assert one["running"].endswith("a" * 64)


async def test_prune_deletes_what_it_said_and_asks_before(house: House) -> None:
    await live(house, "a", "b", "c")
    plan = await pruning.prune(running(house), AGENT, How(dry_run=True, yes=False, as_json=True))
    assert [(one["version"], one["goes"]) for one in plan.data] == [("1", "yes"), ("2", ""), ("3", "")]
    with pytest.raises(Mistake, match="say --yes"):
        await pruning.prune(running(house), AGENT, How(dry_run=False, yes=False, as_json=True))
    assert len(await house.foundry.list_versions(AGENT)) == 3
    done = await pruning.prune(running(house), AGENT, How(dry_run=False, yes=True, as_json=True))
    assert (done.code, done.text.splitlines()[-1]) == (DONE, "1 of 1 deleted")
    assert [one.number for one in await house.foundry.list_versions(AGENT)] == ["2", "3"]
    assert "PRUNED_STALE" in house.journal.reasons()


async def test_a_version_with_sessions_stays_and_the_code_says_so(house: House) -> None:
    await live(house, "a", "b", "c")
    house.foundry.agents[AGENT].versions_in_use.add("1")
    done = await pruning.prune(running(house), AGENT, How(dry_run=False, yes=True, as_json=True))
    assert done.code == NOT_WELL
    assert "SESSIONS_ACTIVE" in done.text


async def test_what_poisoned_messages_held_is_found_in_the_journal(house: House) -> None:
    from tests.support.builders import push_event

    await handle_poison_message("events", json.dumps(push_event()), house.outside)
    await handle_poison_message("events", "rubbish", house.outside)
    await handle_poison_message("releases", '{"agent": "hello-agent", "traceparent": null}', house.outside)
    source = replaying.Source.of(None, "1d")
    told = await replaying.replay(running(house), source, replaying.How(dry_run=True, yes=False, as_json=True))
    assert [(one["kind"], one["id"]) for one in told.data] == [("push", "event-1"), ("release", AGENT)]
    assert "left out: the message of 2026-11-24T12:00:00+00:00, line 1 is no JSON" in told.text
    with pytest.raises(Mistake, match="name files of events"):
        replaying.Source.of(None, None)
    with pytest.raises(Mistake, match="name files of events"):
        replaying.Source.of(["f"], "1d")


def test_a_rule_is_written_without_any_value() -> None:
    definition = {
        "cpu": "0.5",
        "memory": "1Gi",
        "protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
        "environment_variables": {"A": "${{connections.crm.credentials.key}}", "B": "canary", "FOUNDRY_X": "1"},
    }
    yaml = adopting.rule_of("stray-agent", "agents/stray", definition)
    assert "canary" not in yaml
    made = load_agents(f"agents:\n{yaml}".encode()).agents["stray-agent"]
    assert (made.cpu, made.memory, set(made.env)) == ("0.5", "1Gi", {"A", "B"})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermanentError("Foundry", "403", "get agent", status=403), "you lack Foundry User on the project"),
        (PermanentError("Key Vault", "FORBIDDEN", "list"), "you lack Key Vault Secrets User on the vault"),
        (PermanentError("storage", "403", "read", status=403), "Storage Queue Data Contributor"),
        (PermanentError("registry", "401", "list", status=401), "is it the right tenant?"),
        (
            PermanentError("storage", "STATE_UNREADABLE", "x is of another schema"),
            "a newer Slipway may have written it",
        ),
        (PermanentError("Foundry", "invalid_request", "no"), "Foundry: invalid_request: no"),
        (TransientError("Foundry", "unreachable", "get agent"), "does not answer"),
    ],
)
def test_an_error_says_which_service_and_which_role(error: PermanentError | TransientError, told: str) -> None:
    assert told in failing.sentence(error)


def test_a_missing_sign_in_is_told_in_its_own_first_line() -> None:
    from azure.identity import CredentialUnavailableError

    error = TransientError("storage", "no answer", "read")
    error.__cause__ = CredentialUnavailableError("Azure CLI not found on path\nmore")
    told = failing.sentence(error)
    assert told == "storage: not signed in: Azure CLI not found on path\nrun `az login`, or see AZURE_TOKEN_CREDENTIALS"


def test_how_long_is_written_as_in_the_rules() -> None:
    assert how_long("7d") == 7 * DAY
    with pytest.raises(Mistake, match="write 30s"):
        how_long("a week")
