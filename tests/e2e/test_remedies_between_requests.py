"""The remedies of what happens between two requests of a release, and of what a service answers meanwhile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from core.reasons import Reason
from local.stack_client import eventually, stack
from tests.e2e.night import Night
from tests.e2e.remedies import BETWEEN_REQUESTS
from tests.support.builders import push_data, push_event

pytestmark = pytest.mark.timeout(1500)

AGENTS = {reason: reason.lower().replace("_", "-") for reason in BETWEEN_REQUESTS}
LIVE_FIRST = ("secret-lags", "check-failed-no-rollback-version", "rollback-refused", "secret-expires-soon", "kept-last")
QUICK = {"seconds": 0.2, "fail": {}, "answer": {}}
RUBBISH = {f"night/{name}@.* 2.0.0$": "rubbish" for name in ("check-failed-no-rollback-version", "rollback-refused")}


def agents_yaml() -> str:
    lines = (
        f"  {AGENTS[code]}-agent: {{repository: night/{AGENTS[code]}, {keys}}}\n"
        for code, keys in BETWEEN_REQUESTS.items()
    )
    return "agents:\n" + "".join(lines)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("stack")
    for file in ("agents.yaml", "good.yaml"):
        (folder / file).write_text(agents_yaml())
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", QUICK)
        running = Night(up, folder)
        running.set_secret("expiring-key", "the value that expires", expires_on=datetime.now(UTC) + timedelta(days=3))
        release(running, "1.0.0", LIVE_FIRST)
        yield running


def release(night: Night, tag: str, names: tuple[str, ...]) -> dict[str, str]:
    """Put an image of each live; returns their digests."""
    before = {name: night.counts()[name, "LIVE"] for name in names}
    digests = {name: night.push(name, tag) for name in names}
    night.wait_for_all(dict.fromkeys(names, "LIVE"), more_than=before)
    return digests


def remedy(code: str) -> str:
    return Reason[code].remedy_for(f"{AGENTS[code]}-agent").replace("REASON", "'wrong prices'")


def ends_live(night: Night, code: str, command: str) -> None:
    """Type the command, and see the agent go live."""
    before = {AGENTS[code]: night.counts()[AGENTS[code], "LIVE"]}
    night.slipway(command)
    night.wait_for_all({AGENTS[code]: "LIVE"}, more_than=before)


def test_one_retry_replaces_a_version_that_somebody_changed_and_deleted(night: Night) -> None:
    agent = f"{AGENTS['DEFINITION_MISMATCH']}-agent"
    night.running.put("foundry", "/_local/provisioning", {"seconds": 15})
    night.push("definition-mismatch", "2.0.0")
    (version,) = eventually(lambda: versions(night, agent), "version 1 is created")
    definition = version["definition"] | {"environment_variables": {"OF_ANOTHER_WRITER": "x"}}
    changed = version | {"status": "active", "definition": definition}
    fault = {"method": "GET", "path": f"/agents/{agent}/versions/1([/?]|$)", "status": 200, "body": changed}
    night.running.put("foundry", "/_local/faults", [fault])
    night.wait_for("DEFINITION_MISMATCH", "definition-mismatch")
    night.running.put("foundry", "/_local/faults", [])
    night.running.put("foundry", "/_local/provisioning", QUICK)
    with night.running.foundry() as project:
        project.agents.delete_version(agent, "1")
    ends_live(night, "DEFINITION_MISMATCH", remedy("DEFINITION_MISMATCH"))
    assert night.counts()["definition-mismatch", "CANDIDATE_GONE"] == 0


def versions(night: Night, agent: str) -> list[dict[str, Any]]:
    with suppress(ResourceNotFoundError):
        return [version.as_dict() for version in night.running.versions(agent)]
    return []


def test_a_secret_that_lags_is_read_again_after_a_retry(night: Night) -> None:
    with night.running.vault() as vault:
        old = vault.get_secret("lagging-key")
    body = {"value": old.value, "id": old.id, "attributes": {"enabled": True}}
    fault = {"method": "GET", "path": r"/secrets/lagging-key/?(\?|$)", "status": 200, "body": body}
    night.running.put("vault", "/_local/faults", [fault])
    night.running.put("vault", "/_local/secrets/lagging-key", {"value": "the rotated value"})
    night.wait_for("SECRET_LAGS", "secret-lags")
    night.running.put("vault", "/_local/faults", [])
    ends_live(night, "SECRET_LAGS", remedy("SECRET_LAGS"))


def test_a_rollback_to_a_version_ends_a_failure_without_a_good_version(night: Night) -> None:
    name = AGENTS["CHECK_FAILED_NO_ROLLBACK_VERSION"]
    night.running.put("foundry", "/_local/provisioning", QUICK | {"answer": RUBBISH})
    night.slipway(f"slipway hold {name}-agent --why 'a rumour'")  # its image: nothing may be rolled back to
    night.push(name, "2.0.0")
    night.wait_for("CHECK_FAILED_NO_ROLLBACK_VERSION", name)
    ends_live(
        night, "CHECK_FAILED_NO_ROLLBACK_VERSION", remedy("CHECK_FAILED_NO_ROLLBACK_VERSION").replace("VERSION", "1")
    )


def test_a_rollback_ends_a_refused_one(night: Night) -> None:
    name = AGENTS["ROLLBACK_REFUSED"]
    night.running.put("foundry", "/_local/provisioning", QUICK | {"answer": RUBBISH})
    slow = {"method": "POST", "path": f"/{name}-agent/endpoint", "delay_s": 8}
    night.running.put("foundry", "/_local/faults", [slow])
    night.push(name, "2.0.0")
    eventually(lambda: live(night, f"{name}-agent") == "2", "the traffic goes to version 2")
    error = {"error": {"code": "bad_request", "message": "no"}}
    refused = {"method": "PATCH", "path": f"/agents/{name}-agent([/?]|$)", "status": 400, "body": error}
    night.running.put("foundry", "/_local/faults", [refused])
    night.wait_for("ROLLBACK_REFUSED", name)
    night.running.put("foundry", "/_local/faults", [])
    ends_live(night, "ROLLBACK_REFUSED", remedy("ROLLBACK_REFUSED"))
    assert live(night, f"{name}-agent") == "1"


def live(night: Night, agent: str) -> str:
    """The version that has all the traffic."""
    with night.running.foundry() as project:
        endpoint = project.agents.get(agent).as_dict().get("agent_endpoint") or {}
    (rule,) = (endpoint.get("version_selector") or {}).get("version_selection_rules") or [{}]
    return str(rule.get("agent_version"))


def test_a_new_version_of_an_expiring_secret_is_released(night: Night, tmp_path: Path) -> None:
    night.a_day_passes()
    night.running.run_timer("resume_releases")
    assert night.recorded()["SECRET_EXPIRES_SOON"]
    (tmp_path / "value").write_text("the value that stays valid")
    before = {"secret-expires-soon": night.counts()["secret-expires-soon", "LIVE"]}
    command = remedy("SECRET_EXPIRES_SOON").replace("VAULT", "demo-vault").replace("SECRET", "expiring-key")
    run_az(night, command.replace("FILE", str(tmp_path / "value")))
    night.wait_for_all({"secret-expires-soon": "LIVE"}, more_than=before)
    reported = night.recorded()["SECRET_EXPIRES_SOON"]
    night.a_day_passes()
    night.running.run_timer("resume_releases")
    assert night.recorded()["SECRET_EXPIRES_SOON"] == reported


def run_az(night: Night, command: str) -> None:
    """Do what the command does; tests/test_docs_az.py holds its options against az, which signs in to Azure alone."""
    program, group, noun, verb, *options = shlex.split(command)
    assert (program, group, noun, verb) == ("az", "keyvault", "secret", "set")
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.keys() == {"--vault-name", "--name", "--file"}
    night.set_secret(given["--name"], Path(given["--file"]).read_text())


def test_a_retry_replaces_the_version_that_foundry_lost(night: Night) -> None:
    for tag in ("1.5.0", "2.0.0"):
        release(night, tag, ("kept-last",))
    with night.running.foundry() as project:
        for number in ("2", "3"):
            project.agents.delete_version("kept-last-agent", number)
    night.running.run_timer("prune_versions")
    night.wait_for("KEPT_LAST", "kept-last")
    ends_live(night, "KEPT_LAST", remedy("KEPT_LAST"))


def test_a_message_that_no_function_takes_is_replayed_from_a_file(night: Night, tmp_path: Path) -> None:
    digest = release(night, "1.0.0", ("poison-queue-stuck",))["poison-queue-stuck"]
    data = push_data(repository="night/poison-queue-stuck", tag="1.0.0", digest=digest)
    text = json.dumps(push_event(id="left-in-the-queue", data=data))
    with night.running.queues() as queues:
        queues.get_queue_client("events").send_message(text)  # not in base64, as Event Grid writes it
        poison = queues.get_queue_client("events-poison")
        eventually(lambda: poison.get_queue_properties().approximate_message_count == 1, "the host gives it up")
        for _ in range(3):
            night.running.run_timer("resume_releases")
        assert night.recorded()["POISON_QUEUE_STUCK"] == 1
        left = tmp_path / "left.json"
        left.write_text(json.dumps([{"content": text}]))  # as az storage message peek prints it
        night.slipway(f"{remedy('POISON_QUEUE_STUCK').replace('FILE', str(left))} --yes")
        poison.clear_messages()
    lines = eventually(lambda: night.running.journal("SAME_PUSH"), "the event arrives")
    assert [line["slipway.event"] for line in lines] == ["left-in-the-queue"]
    for _ in range(3):
        night.running.run_timer("resume_releases")
    assert night.recorded()["POISON_QUEUE_STUCK"] == 1
