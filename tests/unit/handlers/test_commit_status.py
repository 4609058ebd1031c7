"""From a release to the statuses of its commit: what is sent or ignored, and what becomes of a GitHub that fails."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.commit_status import MAX_AGE, CommitState, CommitStatusMessage
from core.image_manifest import ImageFacts
from core.model import SecretUnavailable
from handlers.commit_status import LOCKED_SECONDS, handle_message
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.github import InMemoryGitHub
from tests.support.app import AGENT, REPOSITORY, WITH_RELEASE, App

QUEUED, IN_PROGRESS, SUCCESS, FAILURE, INACTIVE = CommitState
GITHUB = """
github: {app_id: 123456, private_key: app-key, repositories: [contoso/support], log_url: "https://logs.contoso.com/{target}/{version}"}
"""
COMMIT = "c" * 40
KEY = "-----BEGIN RSA PRIVATE KEY----- canary-91b0"


@dataclass
class World:
    app: App
    github: InMemoryGitHub = field(default_factory=InMemoryGitHub)

    def __post_init__(self) -> None:
        self.app.key_vault.put("app-key", KEY)

    async def release(self, tag: str = "v1", letter: str = "a", source: str = "github.com/contoso/support") -> str:
        """Push an image with labels, and release it."""
        await self.app.pushed(tag, letter)
        digest = f"sha256:{letter * 64}"
        facts = ImageFacts(amd64=digest, source=source, revision=COMMIT if source else "")
        self.app.registry.images[REPOSITORY, digest] = facts
        return await self.app.released()

    async def report(self, *messages: CommitStatusMessage) -> None:
        """Handle the messages, or all that are in the queue."""
        sent = list(messages)
        if not messages:
            sent = [message for message, _ in self.app.commit_statuses.sent]
            self.app.commit_statuses.sent.clear()
        for message in sent:
            await self.handle(message.to_json())

    async def handle(self, text: str) -> None:
        await handle_message(text, self.app.agents, self.app.settings, self.app.gateways, self.github)

    @property
    def shown(self) -> list[list[str]]:
        return [[status.state.value for status in statuses] for statuses in self.github.deployments.values()]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [dict(line) for line in self.app.journal.lines if line.get("step") == "commit_status"]

    @property
    def reasons(self) -> list[object]:
        return [line["reason"] for line in self.lines]


def world(release: str = "mode: auto", github: str = GITHUB) -> World:
    return World(App(clock=ManualClock(), agents=load_agents((WITH_RELEASE % release + github).encode())))


async def test_a_release_is_shown_from_its_start_to_its_end() -> None:
    made = world()
    assert await made.release() == "LIVE"
    await made.report()
    assert made.shown == [["queued", "in_progress", "success"]]
    ((deployment, statuses),) = made.github.deployments.items()
    assert (deployment.repository, deployment.revision) == ("contoso/support", COMMIT)
    assert (deployment.target, deployment.generation) == (AGENT, 1)
    assert [status.description.partition(":")[0] for status in statuses] == ["BEGIN", "CREATE", "LIVE"]
    assert statuses[-1].log_url == f"https://logs.contoso.com/{AGENT}/1"
    assert set(made.reasons) == {"COMMIT_STATUS_SET"}
    assert made.lines[-1]["detail"] == f"contoso/support@{COMMIT[:12]}: success"
    assert KEY not in str(made.app.journal.lines)


async def test_the_first_statuses_are_sent_while_the_version_is_made() -> None:
    made = world()
    await made.release()
    first, *more = (message for message, _ in made.app.commit_statuses.sent)
    assert [status.state for status in first.statuses] == [QUEUED]
    assert [status.state for status in more[-1].statuses] == [QUEUED, IN_PROGRESS, SUCCESS]


async def test_a_redelivered_message_changes_nothing() -> None:
    made = world()
    await made.release()
    messages = [message for message, _ in made.app.commit_statuses.sent]
    await made.report(*messages, *messages, *reversed(messages))
    assert made.shown == [["queued", "in_progress", "success"]]
    assert made.lines[-1]["detail"] == f"contoso/support@{COMMIT[:12]}: no change"


async def test_a_release_whose_agent_is_deleted_ends_also_where_a_newer_push_begins_anew() -> None:
    made = world("mode: manual")
    await made.release()
    await made.app.clock.sleep(600)
    del made.app.foundry.agents[AGENT]
    await made.release("v2", "b")
    await made.report()
    assert made.shown == [["queued", "in_progress", "inactive"], ["queued", "in_progress"]]
    assert made.app.journal.reasons().count("AGENT_DELETED") == 1


async def test_a_failed_release_says_why() -> None:
    made = world()
    made.app.key_vault.forbidden = True
    assert await made.release() == "SECRET_FORBIDDEN"
    made.app.key_vault.forbidden = False
    await made.report()
    assert made.shown == [["failure"]]
    ((status,),) = made.github.deployments.values()
    assert status.description.startswith("SECRET_FORBIDDEN: ")


async def test_a_second_release_has_a_deployment_of_its_own() -> None:
    made = world()
    await made.release()
    await made.app.clock.sleep(600)
    await made.release("v2", "b")
    await made.report()
    assert made.shown == [["queued", "in_progress", "success", "inactive"], ["queued", "in_progress", "success"]]


async def test_a_late_success_of_a_replaced_version_is_inactive() -> None:
    made = world()
    await made.release()
    await made.app.clock.sleep(600)
    await made.release("v2", "b")
    first, second = ([m for m, _ in made.app.commit_statuses.sent if m.generation == number] for number in (1, 2))
    await made.report(*second, *first)
    assert made.shown == [["queued", "in_progress", "success"], ["queued", "in_progress", "success", "inactive"]]


async def test_nothing_is_sent_without_the_key() -> None:
    made = world(github="")
    assert await made.release() == "LIVE"
    assert made.app.commit_statuses.sent == []


async def test_the_statuses_of_a_key_that_was_removed_are_given_up() -> None:
    made = world()
    await made.release()
    made.app.agents = load_agents((WITH_RELEASE % "mode: auto").encode())
    await made.report()
    assert set(made.reasons) == {"COMMIT_STATUS_LOST"}
    assert made.shown == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "COMMIT_UNKNOWN"),
        ("github.com/contoso/other", "REPOSITORY_NOT_ALLOWED"),
        ("gitlab.com/contoso/support", "REPOSITORY_NOT_ALLOWED"),
        ("github.com/../support", "COMMIT_UNKNOWN"),
    ],
)
async def test_a_commit_that_is_not_ours_is_ignored_and_journalled(source: str, reason: str) -> None:
    made = world()
    assert await made.release(source=source) == "LIVE"
    await made.report()
    assert set(made.reasons) == {reason}
    assert made.github.apps == []
    assert made.app.commit_statuses.sent == []


async def test_the_commit_of_an_index_is_that_of_its_image() -> None:
    made = world("mode: auto")
    digest, child = f"sha256:{'a' * 64}", f"sha256:{'d' * 64}"
    await made.release()
    message = replace(made.app.commit_statuses.sent[0][0], source="", revision="")
    made.app.registry.images[REPOSITORY, digest] = ImageFacts(amd64=child)
    made.app.registry.images[REPOSITORY, child] = ImageFacts(
        child, source="github.com/contoso/support", revision=COMMIT
    )
    await made.report(message)
    assert made.shown == [["queued"]]
    del made.app.registry.images[REPOSITORY, child]
    await made.report(message)
    assert made.reasons[-1] == "COMMIT_UNKNOWN"


async def test_github_down_for_an_hour_delays_no_release_and_is_caught_up() -> None:
    made = world()
    made.github.error = TransientError("GitHub", "503", "list the deployments of contoso/support")
    started = made.app.clock.now()
    assert await made.release() == "LIVE"
    tries = 0
    while (made.app.clock.now() - started).total_seconds() < 3600:
        waiting, made.app.commit_statuses.sent = made.app.commit_statuses.sent, []
        tries += 1
        await made.report(*(message for message, _ in waiting))
        await made.app.clock.sleep(max(1.0, min(delay for _, delay in made.app.commit_statuses.sent)))
    assert set(made.reasons) == {"COMMIT_STATUS_WAITING"}
    assert len(made.reasons) == len(made.app.commit_statuses.sent), "once for each message"
    assert tries < 200
    made.github.error = None
    await made.report()
    assert made.shown == [["queued", "in_progress", "success"]]


async def test_pauses_grow_and_are_as_long_as_github_asks() -> None:
    made = world()
    await made.release()
    message = made.app.commit_statuses.sent[0][0]
    made.github.error = TransientError("GitHub", "403", "list", retry_after=1800.0)
    made.app.commit_statuses.sent.clear()
    await made.report(message)
    ((again, delay),) = made.app.commit_statuses.sent
    assert (again.tries, delay) == (1, 1800.0)


async def test_a_status_is_given_up_after_half_a_day() -> None:
    made = world()
    await made.release()
    await made.app.clock.sleep(MAX_AGE.total_seconds() + 60)
    await made.report()
    assert set(made.reasons) == {"COMMIT_STATUS_LOST"}
    assert (made.app.commit_statuses.sent, made.shown) == ([], [])


async def test_a_refusal_is_recorded_and_not_repeated() -> None:
    made = world()
    await made.release()
    made.github.error = PermanentError("GitHub", "404", "find the App's installation on contoso/support", status=404)
    await made.report()
    assert set(made.reasons) == {"COMMIT_STATUS_REFUSED"}
    assert made.lines[0]["detail"] == "GitHub: 404: find the App's installation on contoso/support"
    assert made.app.commit_statuses.sent == []


async def test_a_key_that_cannot_be_read_is_waited_for() -> None:
    made = world()
    await made.release()
    message = made.app.commit_statuses.sent[-1][0]
    made.app.commit_statuses.sent.clear()
    made.app.key_vault.forbidden = True
    await made.report(message)
    assert made.lines[-1]["detail"] == f"secret app-key is {SecretUnavailable.FORBIDDEN}"
    made.app.key_vault.forbidden = False
    await made.report()
    assert made.shown == [["queued", "in_progress", "success"]]


async def test_two_instances_set_no_status_of_a_target_at_once() -> None:
    made = world()
    await made.release()
    message = made.app.commit_statuses.sent[0][0]
    made.app.commit_statuses.sent.clear()
    lock = await made.app.state_store.lock(f"commit-status-{AGENT}")
    assert lock is not None
    await made.report(message)
    assert made.app.commit_statuses.sent == [(message, LOCKED_SECONDS)]
    assert made.reasons == ["LEASE_TAKEN"]
    await lock.release()
    await made.report()
    assert made.shown == [["queued"]]


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"target": AGENT}), "\ud800"])
async def test_a_message_of_others_is_recorded_and_done_with(text: str) -> None:
    made = world()
    await made.handle(text)
    assert made.reasons == ["MALFORMED_MESSAGE"]


async def test_a_queue_that_accepts_nothing_delays_no_release() -> None:
    made = world()
    made.app.commit_statuses.error = TransientError("storage", "503", "send to the queue commit-statuses")
    assert await made.release() == "LIVE"
    assert made.reasons == ["COMMIT_STATUS_LOST"]
    assert "503" in made.lines[0]["detail"]
