"""``slipway doctor``: the heartbeat, the queues, and failures that nothing has ended."""

from __future__ import annotations

import json
from dataclasses import replace

from cli.doctor import activity
from cli.doctor.result import Check
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.poison import handle_poison_message
from handlers.resume_releases.run import resume_releases
from tests.support.app import AGENT, App
from tests.support.builders import push_event
from tests.unit.cli.support import make_live, run


async def found(app: App) -> dict[str, Check]:
    return {check.name: check for check in await activity.checks(app.gateways)}


async def test_a_heartbeat_is_ok_until_two_were_missed(app: App) -> None:
    assert (await found(app))["heartbeat of the app"].status == "unknown"
    await resume_releases(app.agents, app.gateways)
    app.clock.passed += 300
    assert (await found(app))["heartbeat of the app"] == Check("heartbeat of the app", "ok", "5 min ago")
    app.clock.passed += 600
    assert (await found(app))["heartbeat of the app"].status == "failed"


async def test_a_message_that_nothing_takes_is_wrong(app: App) -> None:
    assert (await found(app))["oldest message of releases"].detail == "none waits"
    await app.release_queue.enqueue(AGENT, delay=60)
    assert (await found(app))["oldest message of releases"].detail == "none waits"
    app.clock.passed += 120
    assert (await found(app))["oldest message of releases"].status == "ok"
    app.clock.passed += 900
    assert (await found(app))["oldest message of releases"].status == "failed"


async def test_a_failure_stays_until_something_ends_it(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    check = (await found(app))[f"{AGENT}: last failure"]
    assert (check.status, check.fix) == ("failed", f"slipway retry {AGENT}")
    app.key_vault.forbidden = False
    await run(app, "request_release")
    assert await app.released() == "LIVE"
    assert (await found(app))["failures of 24 hours"].status == "ok"


async def test_a_poisoned_message_is_wrong_for_a_day(app: App) -> None:
    event = push_event(id="lost-1")
    await handle_poison_message("events", json.dumps(event), app.gateways)
    check = (await found(app))["lost-1: last failure"]
    assert check.fix == "slipway replay --poisoned-since 24h"
    app.clock.passed += 90_000
    assert "lost-1: last failure" not in await found(app)


class ClosedJournal(InMemoryJournal):
    """Refuses every read."""

    async def read_day(self, *_: object) -> list[dict[str, object]]:
        raise PermanentError("storage", "403", "read the journal")


async def test_what_may_not_be_read_is_unknown(app: App) -> None:
    await make_live(app, "a")
    app.release_queue.error = PermanentError("storage", "403", "peek")
    app.gateways = replace(app.gateways, journal=ClosedJournal())
    checks = await found(app)
    assert [checks[f"oldest message of {queue}"].status for queue in ("events", "releases")] == ["unknown"] * 2
    assert checks["failures of 24 hours"].status == "unknown"
