"""The scenario of the demo: what is pushed, which decisions must follow, and what must be true afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local.demo.assertions import Assertion, has_variable, has_versions, version_failed, version_is_live
from local.demo.output import Output, seconds_since
from local.demo.stack_driver import JournalLine, StackDriver
from local.images import Kind

HELLO, CAREFUL, SUPPORT, BILLING = "hello-agent", "careful-agent", "support-agent", "billing-agent"
BROKEN = {"SAMPLE_EXIT": "the model file is missing"}
WRONG = {"SAMPLE_ANSWER": "I am not sure"}
FLAKY = {"SAMPLE_ANSWER_LATER": "Internal error"}
"""Variables of an image with which its agent misbehaves (local/agents/sample/main.py)."""
HIDDEN = frozenset({"BEGIN", "REQUEUED", "LEASE_TAKEN"})
EXPLANATIONS = {
    "ACCEPTED": "the push event arrived: this image should run now",
    "PIN": "keeps the traffic for now",
    "CONFIRM_PASSED": "is active, as requested",
    "VERIFY_PASSED": "answered as expected, before any traffic",
    "EVALUATION_RUNNING": "answers the dataset",
    "TRAFFIC_MOVED": "gets all new sessions",
    "LIVE": "is live",
    "ALREADY_LIVE": "already runs this image: nothing to do",
    "SUPERSEDED": "release ended: a newer push came",
    "APPROVAL_WAITING": "is ready and waits for approval",
    "ARTIFACT_TAG": "skipped: a signature, not an image",
    "UNTAGGED_PUSH": "skipped: a child of an index has no tag of its own",
    "NOT_FOLLOWED": "skipped: no agent uses this repository",
    "KEPT_IN_RELEASE": "is kept for a rollback",
    "KEPT_LIVE": "is kept: it is live",
    "PRUNED_STALE": "is deleted: nothing needs it",
    "PRUNED_FAILED": "is deleted: it failed",
}
"""Shown for a reason code where the journal line has no detail."""


@dataclass
class Scenario:
    """What a scene works with: the running stack and the output."""

    driver: StackDriver
    output: Output

    async def push(
        self,
        agent: str,
        tag: str | None,
        salt: str,
        last_reason: str,
        kind: Kind = "image",
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Push an image with variables, show the decisions up to ``last_reason``, and return the digest."""
        began, position = datetime.now(UTC), self.driver.journal_position()
        repository = f"agents/{agent.removesuffix('-agent')}"
        digest = await self.driver.push(repository, tag, salt, kind, variables)
        name = f"{repository}:{tag if len(tag) < 20 else tag[:14] + '…'}" if tag else f"{repository} (no tag)"
        self.output.step(0.0, "push", f"{name}  {digest[:19]}…")

        def is_last(line: JournalLine) -> bool:
            return line["reason"] == last_reason and line.get("digest") == digest

        await self.show_decisions(agent, began, position, is_last)
        return digest

    async def show_decisions(
        self, agent: str, began: datetime, position: int, until: Callable[[JournalLine], bool]
    ) -> None:
        """Show decisions about the agent, or about no agent, as they are made."""
        async for line in self.driver.journal(position, until):
            if line.get("agent", agent) == agent and line["reason"] not in HIDDEN:
                text = await self._describe(agent, line)
                self.output.step(seconds_since(began, line), line["reason"], text, line["severity"])

    async def show_until_live(self, agent: str, began: datetime, position: int) -> None:
        """Show decisions about the agent until a version is live."""
        await self.show_decisions(
            agent, began, position, lambda line: line["reason"] == "LIVE" and line["agent"] == agent
        )

    async def _describe(self, agent: str, line: JournalLine) -> str:
        version = f"version {line['version']}" if "version" in line and line["reason"] != "ACCEPTED" else ""
        if line["reason"] == "CREATE":
            created = (await self.driver.agent(agent)).versions.get(line["version"])
            return f"{version}, with {', '.join(created.variables if created else ()) or 'no variables'}"
        detail = line.get("detail") or EXPLANATIONS.get(line["reason"]) or ("" if version else line["help"])
        return "  ".join(part for part in (version, detail) if part)

    async def check(self, agent: str, *assertions: tuple[str, Assertion]) -> None:
        """Read the agent once and check each assertion against it."""
        snapshot = await self.driver.agent(agent)
        for description, assertion in assertions:
            shown, holds = assertion(snapshot)
            self.output.assertion(agent, description, shown, holds)

    async def check_secret(self, agent: str, variable: str, secret: str) -> None:
        """Check that the agent has the newest value of a secret: it signs a random text with it."""
        shown, holds = await self.driver.proves(agent, variable, secret)
        self.output.assertion(agent, "it has the secret's value: proven, not printed", shown, holds)


Scene = Callable[[Scenario], Awaitable[None]]


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
    await scenario.show_until_live(HELLO, began, position)
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
    await scenario.push(CAREFUL, "v2-wrong", "wrong", "VERIFY_FAILED", variables=WRONG)
    await scenario.check(CAREFUL, ("version 1 is still live", version_is_live("1")))


async def worse_answers(scenario: Scenario) -> None:
    """Push an image that answers its first question correctly, and the dataset worse than the live version."""
    scenario.output.scene("A version that answers once, but worse overall, gets no traffic")
    await scenario.push(SUPPORT, "v2-worse", "worse", "EVALUATION_FAILED", variables=FLAKY)
    await scenario.check(
        SUPPORT, ("version 1 is still live", version_is_live("1")), ("version 2 exists", has_versions(2))
    )


async def rollback(scenario: Scenario) -> None:
    """Push an image that answers wrongly from its second question on: it is rolled back and held, then replaced."""
    scenario.output.scene("A version that fails with traffic is rolled back and held")
    await scenario.push(CAREFUL, "v3-flaky", "flaky", "CHECK_FAILED", variables=FLAKY)
    await scenario.check(CAREFUL, ("version 1 is live again", version_is_live("1")))
    await scenario.push(CAREFUL, "v3-again", "flaky", "HELD", variables=FLAKY)
    digest = await scenario.push(CAREFUL, "v4", "fixed", "LIVE")
    await scenario.check(CAREFUL, ("a newer push went live", version_is_live("4", digest)))


async def approval(scenario: Scenario) -> None:
    """Push to an agent whose releases need approval, then approve."""
    scenario.output.scene("An agent in mode manual waits for approval")
    digest = await scenario.push(BILLING, "v2", "second", "APPROVAL_WAITING")
    await scenario.check(BILLING, ("version 1 is live while 2 waits", version_is_live("1")))
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    await scenario.driver.run_cli("approve", BILLING, "--digest", digest)
    await scenario.show_until_live(BILLING, began, position)
    await scenario.check(BILLING, ("version 2 is live after approval", version_is_live("2", digest)))


async def prune(scenario: Scenario) -> None:
    """Run the prune timer."""
    scenario.output.scene("The daily timer deletes versions that nothing needs")
    began, position = datetime.now(UTC), scenario.driver.journal_position()
    await scenario.driver.run_timer("prune_versions")
    deleted: set[str] = set()

    def all_deleted(line: JournalLine) -> bool:
        if line["reason"] in ("PRUNED_STALE", "PRUNED_FAILED") and line.get("agent") == HELLO:
            deleted.add(line["version"])
        return len(deleted) == 2

    await scenario.show_decisions(HELLO, began, position, all_deleted)
    await scenario.check(HELLO, ("the live and the rollback version are left", has_versions(2)))


SCENES: tuple[Scene, ...] = (
    first_push,
    same_image,
    second_push,
    rotated_secret,
    broken_image,
    skipped_pushes,
    wrong_answer,
    worse_answers,
    rollback,
    approval,
    prune,
)
