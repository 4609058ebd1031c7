"""Every fault of every service: one clear decision, nothing lost, nothing created twice, and live in the end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from core.reasons import Reason
from local.stand_in import Fault
from tests.contract.fault_table import (
    AFTER_EFFECT,
    CALLS,
    LOCKED,
    PERSISTENT,
    PREVIEW,
    RETRY_CONFLICT,
    STORAGE_CALLS,
    TEMPORARY,
    WRITES,
    Call,
    FaultKind,
    expected_reason,
)
from tests.contract.faulty_app import AGENT, CANARY, App, restored, started_app
from tests.contract.faulty_services import CONTAINER, Snapshot

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULT_SECONDS = 10.0
"""Duration of a temporary fault."""

DOWN = [
    ("foundry", "SERVICE_UNAVAILABLE"),
    ("vault", "SERVICE_UNAVAILABLE"),
    ("registry", "SERVICE_UNAVAILABLE"),
    ("blobs", "POISONED"),
    ("queues", "POISONED"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[App, Snapshot]]:
    async with started_app(tmp_path_factory.mktemp("app")) as app:
        yield app, app.services.snapshot()


@pytest_asyncio.fixture(loop_scope="module")
async def app(started: tuple[App, Snapshot]) -> App:
    """One app for all cases; its services are restored before each case."""
    app, snapshot = started
    return await restored(app, snapshot)


def table(calls: Iterable[Call], kinds: Iterable[FaultKind]) -> list[Any]:
    kinds = tuple(kinds)
    return [pytest.param(call, kind, id=f"{call.name}: {kind.name}") for call in calls for kind in kinds]


def plan_fault(app: App, call: Call, kind: FaultKind, *, times: int = 0, seconds: float | None = None) -> None:
    if call.name == "create a toolbox":
        app.services.foundry.project.toolboxes.clear()
    if call.name == "get a token":
        app.services.forget_token()
    app.services.fail(call.stand_in, kind.on(call, times=times), seconds=seconds)


def assert_live(app: App) -> None:
    """The pushed image is live: one version, one LIVE decision, and no secret in any output."""
    assert app.live_image() == "b"
    assert app.version_count("b") == 1
    assert app.telemetry.reasons().count("LIVE") == 1
    assert len(app.services.foundry.project.toolboxes[f"{AGENT}-tools"]["versions"]) == 1
    assert CANARY not in app.all_output()


def assert_reported(app: App, call: Call, kind: FaultKind) -> str:
    """One problem is logged; it names the service and the code, and says what to do. Returns its reason."""
    (problem,) = (decision for decision in app.telemetry.problems() if decision["reason"] != Reason.WRITE_NOT_APPLIED)
    reason = Reason[problem["reason"]]
    assert reason == expected_reason(call, kind)
    image = f"{problem.get('repository')}:{problem.get('tag')}"
    assert problem["help"] == reason.help_for(str(problem.get("agent") or ""), image=image)
    detail = str(problem.get("detail"))
    texts = [detail, *map(str, app.errors)]
    names_subject = call.subject and call.subject in detail
    assert names_subject or any(call.service in text and re.search(kind.code, text) for text in texts), texts
    assert "Traceback" not in str(problem)
    return reason


FOUNDRY_CALLS = tuple(call for call in CALLS if call.service == "Foundry")


@pytest.mark.parametrize(
    ("call", "kind"), [*table(CALLS, TEMPORARY), *table(WRITES, [RETRY_CONFLICT]), *table(FOUNDRY_CALLS, LOCKED)]
)
@pytest.mark.parametrize("times", [1, 0], ids=["once", "for a while"])
async def test_a_temporary_fault_delays_the_release(app: App, call: Call, kind: FaultKind, times: int) -> None:
    plan_fault(app, call, kind, times=times, seconds=FAULT_SECONDS)
    await app.push("v2", "b")
    await app.run_queue(wait=True)
    assert_live(app)
    assert not app.poison
    assert not [problem for problem in app.telemetry.problems() if Reason[problem["reason"]].severity == "error"]


@pytest.mark.parametrize(("call", "kind"), table((*WRITES, *STORAGE_CALLS), AFTER_EFFECT))
@pytest.mark.parametrize("times", [1, 0], ids=["once", "for a while"])
async def test_a_write_that_took_effect_without_an_answer_is_not_repeated(
    app: App, call: Call, kind: FaultKind, times: int
) -> None:
    plan_fault(app, call, kind, times=times, seconds=FAULT_SECONDS)
    await app.push("v2", "b")
    await app.run_queue(wait=True)
    assert_live(app)
    assert not app.poison


@pytest.mark.parametrize(
    ("call", "kind"),
    [*table(CALLS, PERSISTENT), *table(WRITES, [RETRY_CONFLICT]), *table(FOUNDRY_CALLS, [PREVIEW])],
)
async def test_a_persistent_fault_is_reported_once_and_nothing_is_lost(app: App, call: Call, kind: FaultKind) -> None:
    plan_fault(app, call, kind)
    await app.push("v2", "b")
    await app.run_queue(wait=False)
    if expected_reason(call, kind) == "LIVE":
        assert_live(app)
        return
    reason = assert_reported(app, call, kind)
    assert app.live_image() == "a"
    assert app.version_count("b") <= 1
    await app.services.repair()
    desired = await app.desired()
    if desired.last_rejection is not None:  # the image is gone: what was desired before is desired again
        assert (reason, desired.last_rejection.push.tag) == ("IMAGE_GONE", "v2")
        return
    assert app.poison or (desired.push is not None and desired.push.tag == "v2")
    await follow_help(app, reason)
    assert_live(app)


@pytest.mark.parametrize("seconds", [FAULT_SECONDS, None], ids=["for a while", "until it is repaired"])
@pytest.mark.parametrize(("service", "reason"), DOWN)
async def test_nothing_is_lost_while_a_service_is_down(
    app: App, service: str, reason: str, seconds: float | None
) -> None:
    await app.services.stop(service, seconds=seconds)
    await app.push("v2", "b")
    await app.run_queue(wait=seconds is not None)
    if seconds is None:
        (problem,) = app.telemetry.problems()
        assert problem["reason"] == reason
        assert app.live_image() == "a"
        await app.services.repair()
        await follow_help(app, reason)
    assert_live(app)


async def follow_help(app: App, reason: str) -> None:
    """Do what the help of the reason says: nothing, requeue the message, or push again."""
    if reason == Reason.POISONED:
        await app.requeue_poisoned()
        await app.resume()
    elif "Nothing to do" not in Reason[reason].help:
        await app.push("v3", "b")
    await app.run_queue(wait=True)


UNKNOWN_OF_FOUNDRY: list[dict[str, Any]] = [
    {"date_behind_s": 1.0},
    {"date_behind_s": -1.0},
    {"service_metadata": {"enableVnextExperience": "false"}},
    {"dedupe": True, "metadata_counts": False},
    {"dedupe": True, "metadata_counts": True},
]


@pytest.mark.parametrize("behaviour", UNKNOWN_OF_FOUNDRY, ids=str)
async def test_a_release_does_not_depend_on_what_foundry_does_in_either_way(
    app: App, behaviour: dict[str, Any]
) -> None:
    project = app.services.foundry.project
    usual = project.provisioning
    project.provisioning = replace(usual, **behaviour)
    try:
        await app.push("v2", "b")
        await app.run_queue(wait=True)
        assert_live(app)
    finally:
        project.provisioning = usual


REQUEST_ID = "c2a5a969a02572ead2f4bc3a59495aca"
WITH_A_CODE = {"error": {"code": "invalid_payload", "message": f"not so [Request ID: {REQUEST_ID}]"}}


@pytest.mark.parametrize("body", [WITH_A_CODE, {}, "<p>no</p>"], ids=["with a code", "without a code", "a page"])
@pytest.mark.parametrize("path", [r"POST /agents/hello-agent/versions", r"GET /agents/hello-agent\?"])
async def test_the_id_of_a_refused_request_is_recorded_once(app: App, path: str, body: Any) -> None:
    method, _, path = path.partition(" ")
    fault = Fault(path, method, status=400, headers={"X-Request-ID": REQUEST_ID}, body=body)
    app.services.fail("foundry", fault)
    await app.push("v2", "b")
    await app.run_queue(wait=False)
    (problem,) = app.telemetry.problems()
    journal = [blob.data.decode() for name, blob in app.services.storage.store.list_blobs(CONTAINER, "journal/")]
    lines = [line for text in journal for line in text.splitlines() if problem["reason"] in line]
    assert lines
    for text in (str(problem["detail"]), *lines):
        assert text.count(REQUEST_ID) == 1
