"""The scenes of the demo: what is pushed, which decisions must follow, and what must be true afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from local.demo.assertions import has_variable, has_versions, version_failed, version_is_live
from local.demo.scenario import Scenario, Scene
from local.demo.signatures import SIGNATURE_SCENES
from local.demo.stack_driver import JournalLine
from local.demo.stages import STAGE_SCENES

HELLO, CAREFUL, SUPPORT = "hello-agent", "careful-agent", "support-agent"
RETURNS, BILLING = "returns-agent", "billing-agent"
BROKEN_TEXT = "the model file is missing"
BROKEN = {"SAMPLE_EXIT": BROKEN_TEXT}
WRONG = {"SAMPLE_ANSWER": "I am not sure"}
FLAKY = {"SAMPLE_ANSWER_LATER": "Internal error"}
"""Variables of an image with which its agent misbehaves (local/agents/sample/main.py)."""


async def first_push(scenario: Scenario) -> None:
    """Push an image; its version is created, becomes active and goes live."""
    scenario.output.scene("A first push goes live")
    digest = await scenario.push(HELLO, "v1", "one", "LIVE")
    await scenario.check(
        HELLO,
        ("version 1 is live, by digest", version_is_live("1", digest)),
        ("it has its secret", has_variable("HELLO_KEY")),
    )
    await scenario.check_secret(HELLO, "HELLO_KEY", "hello-key")


async def same_image(scenario: Scenario) -> None:
    """Push a second tag of the same digest."""
    scenario.output.scene("The same image under a second tag changes nothing")
    await scenario.push(HELLO, "stable", "one", "ALREADY_LIVE")
    await scenario.check(HELLO, ("still one version", has_versions(1)))


async def second_push(scenario: Scenario) -> None:
    """Push a new image; the live version is pinned until the new one is promoted."""
    scenario.output.scene("A new version starts beside the live one, then gets the traffic")
    digest = await scenario.push(HELLO, "v2", "two", "LIVE")
    await scenario.check(
        HELLO, ("version 2 is live", version_is_live("2", digest)), ("version 1 is kept", has_versions(2))
    )


async def rotated_secret(scenario: Scenario) -> None:
    """Rotate a secret in Key Vault."""
    scenario.output.scene("A rotated secret leads to a new version")
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    await scenario.driver.configure("vault", "secrets/hello-key", {"value": "made-up-for-the-demo"})
    scenario.output.step(0.0, "rotation", "Key Vault has a new version of hello-key")
    await scenario.show_until("LIVE", HELLO, began, position)
    await scenario.check(
        HELLO, ("version 3 is live", version_is_live("3")), ("exactly one version was added", has_versions(3))
    )
    await scenario.check_secret(HELLO, "HELLO_KEY", "hello-key")


async def broken_image(scenario: Scenario) -> None:
    """Push an image whose container exits; the live version stays."""
    scenario.output.scene("An image that cannot start does not affect users")
    await scenario.push(HELLO, "v3-broken", "three", "IMAGE_ERROR", variables=BROKEN)
    await scenario.check(
        HELLO, ("version 3 is still live", version_is_live("3")), ("version 4 has failed", version_failed("4"))
    )
    await scenario.check_why(HELLO, "agents/hello:v3-broken", BROKEN_TEXT)


async def skipped_pushes(scenario: Scenario) -> None:
    """Push a signature, an untagged child of an index, and an image that no agent uses."""
    scenario.output.scene("Other pushes are skipped, each with a reason")
    await scenario.push(HELLO, f"sha256-{'5' * 64}.sig", "sig", "ARTIFACT_TAG", "signature")
    await scenario.push(HELLO, None, "child", "UNTAGGED_PUSH")
    await scenario.push("unknown-agent", "v1", "unknown", "NOT_FOLLOWED")
    await scenario.check(HELLO, ("no version was added", has_versions(4)))


async def wrong_answer(scenario: Scenario) -> None:
    """Push an image that fails its probe before it gets traffic."""
    scenario.output.scene("A version with a wrong answer never gets traffic")
    await scenario.release_first_version(CAREFUL, "LIVE")
    await scenario.push(CAREFUL, "v2-wrong", "wrong", "VERIFY_FAILED", variables=WRONG)
    await scenario.check(CAREFUL, ("version 1 is still live", version_is_live("1")))


async def worse_answers(scenario: Scenario) -> None:
    """Push an image that answers its first question correctly, and the dataset worse than the live version."""
    scenario.output.scene("A version that answers once, but worse overall, gets no traffic")
    await scenario.release_first_version(SUPPORT, "LIVE")
    await scenario.push(SUPPORT, "v2-worse", "worse", "EVALUATION_FAILED", variables=FLAKY)
    await scenario.check(SUPPORT, ("version 1 has all the traffic, 2 has none", version_is_live("1")))


async def rollback(scenario: Scenario) -> None:
    """Push an image that answers wrongly from its second question on: it is rolled back and held, then replaced."""
    scenario.output.scene("A version that fails with traffic is rolled back and held")
    await scenario.push(CAREFUL, "v3-flaky", "flaky", "CHECK_FAILED", variables=FLAKY)
    await scenario.check(CAREFUL, ("version 1 is live again", version_is_live("1")))
    await scenario.push(CAREFUL, "v3-again", "flaky", "HELD", variables=FLAKY)
    digest = await scenario.push(CAREFUL, "v4", "fixed", "LIVE")
    await scenario.check(CAREFUL, ("a newer push went live", version_is_live("4", digest)))


async def window(scenario: Scenario) -> None:
    """Push while the window of an agent is closed, then let it open."""
    scenario.output.scene("A version that is ready waits for its window")
    tomorrow = f"end: {datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    scenario.driver.change_agents("end: 2999-12-31", tomorrow)
    await scenario.release_first_version(RETURNS, "WINDOW_CLOSED")
    digest = await scenario.push(RETURNS, "v2", "returns", "WINDOW_CLOSED")
    await scenario.check(RETURNS, ("version 1 is live while 2 waits", version_is_live("1")))
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    scenario.driver.change_agents(tomorrow, f"end: {began:%Y-%m-%dT%H:%M}")
    scenario.output.step(0.0, "agents.yaml", "the freeze ends now")
    await scenario.driver.run_timer("resume_releases")
    await scenario.show_until("LIVE", RETURNS, began, position)
    await scenario.check(RETURNS, ("version 2 is live in its window", version_is_live("2", digest)))


async def approval(scenario: Scenario) -> None:
    """Push to an agent whose releases need approval, then approve."""
    scenario.output.scene("An agent in mode manual waits for approval")
    await scenario.release_first_version(BILLING, "APPROVAL_WAITING")
    digest = await scenario.push(BILLING, "v2", "second", "APPROVAL_WAITING")
    await scenario.check(BILLING, ("version 1 is live while 2 waits", version_is_live("1")))
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    scenario.output.step(0.0, "slipway approve", f"{BILLING} --digest {digest[:19]}…")
    await scenario.driver.run_cli("approve", BILLING, "--digest", digest)
    await scenario.show_until("LIVE", BILLING, began, position)
    await scenario.check(BILLING, ("version 2 is live after approval", version_is_live("2", digest)))


async def prune(scenario: Scenario) -> None:
    """Run the prune timer."""
    scenario.output.scene("The daily timer deletes versions that nothing needs")
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    scenario.output.step(0.0, "timer", "prune_versions runs")
    await scenario.driver.run_timer("prune_versions")
    deleted: set[str] = set()

    def all_deleted(line: JournalLine) -> bool:
        if line["reason"] in ("PRUNED_STALE", "PRUNED_FAILED") and line.get("agent") == HELLO:
            deleted.add(line["version"])
        return len(deleted) == 2

    await scenario.show_decisions(HELLO, began, position, all_deleted)
    await scenario.check(HELLO, ("the live and the rollback version are left", has_versions(2)))


SCENES: tuple[tuple[str, Scene], ...] = (
    (HELLO, first_push),
    (HELLO, same_image),
    (HELLO, second_push),
    (HELLO, rotated_secret),
    (HELLO, broken_image),
    (HELLO, skipped_pushes),
    (CAREFUL, wrong_answer),
    (CAREFUL, rollback),
    (SUPPORT, worse_answers),
    (RETURNS, window),
    (BILLING, approval),
    *STAGE_SCENES,
    *SIGNATURE_SCENES,
    (HELLO, prune),
)
"""Each beside its agent, in the order of the screen."""
