"""The scenes about stages: production takes what proved itself in staging, by digest, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from local.demo.assertions import has_versions, lacks_image, version_is_live
from local.demo.scenario import Scenario, Scene
from local.demo.stack_driver import PRODUCTION

ORDERS = "orders-agent"
TARGETS = {f"{ORDERS}@{project}": project for project in PRODUCTION}
"""The targets in production, and their projects."""
BROKEN = {"SAMPLE_EXIT": "the database is missing"}


async def wave(scenario: Scenario) -> None:
    """Push an image: it goes live in staging and, after its time there, in two projects."""
    scenario.output.scene("Production takes what proved itself in staging, in two projects at once")
    digest = await scenario.push(ORDERS, "v1", "first", "LIVE", times=1 + len(TARGETS))
    await scenario.check(ORDERS, ("version 1 is live in staging", version_is_live("1", digest)))
    for target, project in TARGETS.items():
        await scenario.check(target, (f"the same image is live in {project}", version_is_live("1", digest)))


async def failed_in_staging(scenario: Scenario) -> None:
    """Push an image that does not start in staging."""
    scenario.output.scene("What fails in staging never reaches production")
    digest = await scenario.push(ORDERS, "v2-broken", "broken", "IMAGE_ERROR", variables=BROKEN)
    for target, project in TARGETS.items():
        await scenario.check(target, (f"{project} has no version of it", lacks_image(digest)))


async def rolled_back_in_staging(scenario: Scenario) -> None:
    """Push an image that goes live in staging, and roll it back while production waits."""
    scenario.output.scene("A rollback in staging within the wait stops a version")
    scenario.driver.change_agents("soak: 3s", "soak: 1h")
    scenario.output.step(0.0, "agents.yaml", "production waits an hour from now on")
    await scenario.push(ORDERS, "v3", "third", "STAGE_WAITING", times=len(TARGETS))
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    scenario.output.step(0.0, "slipway rollback", f'{ORDERS} --why "odd answers"')
    await scenario.driver.run_cli("rollback", ORDERS, "--why", "odd answers")
    await scenario.show_until("STAGE_CANCELLED", ORDERS, began, position, times=len(TARGETS))
    await scenario.check(ORDERS, ("version 1 is live again", version_is_live("1")))
    for target, project in TARGETS.items():
        await scenario.check(target, (f"{project} has version 1 alone", has_versions(1)))


STAGE_SCENES: tuple[tuple[str, Scene], ...] = (
    (ORDERS, wave),
    (ORDERS, failed_in_staging),
    (ORDERS, rolled_back_in_staging),
)
