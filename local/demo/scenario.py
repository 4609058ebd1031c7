"""What a scene of the demo works with: it pushes, shows the decisions that follow, and checks what is true then."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local.demo.assertions import Assertion
from local.demo.output import Output, seconds_since
from local.demo.stack_driver import JournalLine, StackDriver
from local.images import Kind
from local.signing import PrivateKey, sign_image

HIDDEN = frozenset(
    {
        *("BEGIN", "REQUEUED", "LEASE_TAKEN", "IMAGES_IN_USE"),
        *("MISSED_PUSH_FOUND", "MISSED_ROTATION_FOUND"),  # a timer that a scene runs may be faster than an event
    }
)
HIDDEN_LATER = HIDDEN | {"ACCEPTED"}
"""After the first scene."""
HIDDEN_IN_PRODUCTION = HIDDEN_LATER | {"CONFIRM_PASSED", "TRAFFIC_MOVED"}
"""Staging has shown these."""
EXPLANATIONS = {
    "ACCEPTED": "the push event arrived: this image should run now",
    "PIN": "keeps the traffic for now",
    "CONFIRM_PASSED": "is active, as requested",
    "VERIFY_PASSED": "answered as expected, before any traffic",
    "EVALUATION_RUNNING": "answers the dataset",
    "TRAFFIC_MOVED": "gets all new sessions",
    "LIVE": "is live",
    "ALREADY_LIVE": "already runs this image: nothing to do",
    "SUPERSEDED": "gives way: a newer push came",
    "APPROVAL_WAITING": "is ready and waits for approval",
    "ARTIFACT_TAG": "skipped: a signature, not an image",
    "UNTAGGED_PUSH": "skipped: a child of an index, without a tag",
    "NOT_FOLLOWED": "skipped: no agent uses this repository",
    "KEPT_IN_RELEASE": "is kept for a rollback",
    "KEPT_LIVE": "is kept: it is live",
    "PRUNED_STALE": "is deleted: nothing needs it",
    "PRUNED_FAILED": "is deleted: it failed",
}
"""Shown for a reason code where the journal line has no detail."""
DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")


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
        times: int = 1,
    ) -> str:
        """Push an image with variables, show decisions until ``last_reason`` came so often, and return the digest."""
        began, position = datetime.now(UTC), self.driver.journal_position()
        digest = await self.driver.push(_repository(agent), tag, salt, kind, variables)
        self._show_push(agent, tag, digest)
        is_last = _is_nth(times, lambda line: line["reason"] == last_reason and line.get("digest") == digest)
        await self.show_decisions(agent, began, position, is_last, digest)
        return digest

    async def push_signed(self, agent: str, tag: str, key: PrivateKey, last_reason: str) -> str:
        """Push an image and a signature, show decisions up to ``last_reason``, and return the digest."""
        began, position = datetime.now(UTC), self.driver.journal_position()
        digest = await self.driver.push(_repository(agent), tag, tag)
        await sign_image(self.driver.endpoints["registry"], _repository(agent), digest, key)
        self._show_push(agent, tag, digest)
        self.output.step(0.0, "sign", "a signature of this digest follows")
        await self.show_until(last_reason, agent, began, position)
        return digest

    def _show_push(self, agent: str, tag: str | None, digest: str) -> None:
        shown_tag = f":{tag if len(tag) < 20 else tag[:12] + '…'}" if tag else " (no tag)"
        self.output.step(0.0, "push", f"{_repository(agent)}{shown_tag}  {digest[:19]}…")

    async def release_first_version(self, agent: str, last_reason: str) -> None:
        """Push an image to an agent that has none, and show nothing."""
        position = self.driver.journal_position()
        await self.driver.push(_repository(agent), "v1", f"first-{agent}")
        is_last = _is_nth(1, lambda line: line["reason"] == last_reason and line.get("agent") == agent)
        async for _ in self.driver.journal(position, is_last):
            pass

    async def show_decisions(
        self, agent: str, began: datetime, position: int, until: Callable[[JournalLine], bool], digest: str = ""
    ) -> None:
        """Show decisions about the agent, or about an image that no agent takes, as they are made."""
        async for line in self.driver.journal(position, until):
            is_ours = _is_about(agent, line) or ("agent" not in line and line.get("digest") == digest)
            project = line.get("agent", "").partition("@")[2]
            if is_ours and line["reason"] not in self._hidden(project):
                text = await self._describe(line)
                text = f"{project}: {text}" if project else text
                self.output.step(seconds_since(began, line), line["reason"], text, line["severity"])

    def _hidden(self, project: str) -> frozenset[str]:
        if project:
            return HIDDEN_IN_PRODUCTION
        return HIDDEN if self.output.scenes == 1 else HIDDEN_LATER

    async def show_until(self, reason: str, agent: str, began: datetime, position: int, times: int = 1) -> None:
        """Show decisions about the agent until a reason came so often."""
        is_last = _is_nth(times, lambda line: line["reason"] == reason and _is_about(agent, line))
        await self.show_decisions(agent, began, position, is_last)

    async def _describe(self, line: JournalLine) -> str:
        version = f"version {line['version']}" if "version" in line and line["reason"] != "ACCEPTED" else ""
        if line["reason"] == "CREATE":
            created = (await self.driver.agent(line["agent"])).versions.get(line["version"])
            return f"{version}, with {', '.join(created.variables if created else ()) or 'no variables'}"
        if line["reason"] == "ROLLBACK":
            return f"{version}: the traffic goes back to version {line['from_version']}"
        if detail := DIGEST.sub(r"\1…", line.get("detail", "")):
            return f"{version}: {detail}" if version else detail
        explanation = EXPLANATIONS.get(line["reason"]) or ("" if version else line["help"])
        return f"{version} {explanation}".strip()

    async def check(self, agent: str, *assertions: tuple[str, Assertion]) -> None:
        """Read the agent once and check each assertion against it."""
        snapshot = await self.driver.agent(agent)
        for description, assertion in assertions:
            shown, holds = assertion(snapshot)
            self.output.assertion(agent, description, shown, holds)

    async def check_why(self, agent: str, image: str, text: str) -> None:
        """Check that ``slipway why`` shows a text about an image."""
        shown = " ".join((await self.driver.run_cli("why", image)).split())
        self.output.assertion(agent, "slipway why shows its last line", text, text in shown)

    async def check_secret(self, agent: str, variable: str, secret: str) -> None:
        """Check that the agent has the newest value of a secret: it signs a random text with it."""
        shown, holds = await self.driver.proves(agent, variable, secret)
        self.output.assertion(agent, "it has the secret's value: proven, not printed", shown, holds)


def _repository(agent: str) -> str:
    return f"agents/{agent.removesuffix('-agent')}"


def _is_about(agent: str, line: JournalLine) -> bool:
    """Whether a line is about the agent, in any project."""
    return bool(line.get("agent", "").partition("@")[0] == agent)


def _is_nth(times: int, is_wanted: Callable[[JournalLine], bool]) -> Callable[[JournalLine], bool]:
    """Return a function that is true for the last of so many wanted lines."""
    numbers = itertools.count(1)
    return lambda line: is_wanted(line) and next(numbers) == times


Scene = Callable[[Scenario], Awaitable[None]]
