"""The story of the demo: what is pushed, what must be decided, and what must be true afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from local.demo.assertions import Judge, failed, holds, live, serves
from local.demo.output import Screen, since
from local.demo.stack_driver import Line, World

HELLO, CAREFUL, BILLING = "hello-agent", "careful-agent", "billing-agent"
SECONDS = 0.4
"""How long Foundry takes for a version here; in Azure it is half a minute to five."""
HIDDEN = frozenset({"BEGIN", "RESUMED", "LEASE_TAKEN"})
SHOWN = {
    "DESIRED": "its event came: wanted from now on",
    "PIN": "keeps the traffic meanwhile",
    "CONFIRM": "is active, and what was asked for",
    "VERIFY": "answered as it must, before any traffic",
    "PROMOTE": "gets every new session",
    "LIVE": "is live",
    "ALREADY_LIVE": "is this very image: nothing to do",
    "SUPERSEDED": "waits no longer: a newer push came",
    "AWAITING_APPROVAL": "is ready, and waits for a person",
    "ARTIFACT_TAG": "skipped: a signature is no image",
    "UNTAGGED_PUSH": "skipped: a child of an index has no tag of its own",
    "NOT_FOLLOWED": "skipped: no agent follows this repository",
    "KEPT_IN_RELEASE": "stays: the way back",
    "KEPT_LIVE": "stays: it serves",
    "PRUNED_STALE": "goes: nothing needs it",
    "PRUNED_FAILED": "goes: it had failed",
}
"""What a code means in this story, where the line itself says no more."""


@dataclass
class Story:
    """The stack, the screen, and the digests that were pushed."""

    world: World
    screen: Screen

    async def pushed(self, agent: str, tag: str | None, salt: str, ends: str, kind: str = "image") -> str:
        """Push and show what is decided until the reason that ends it; returns the digest."""
        began, mark = datetime.now(UTC), self.world.mark()
        repository = f"agents/{agent.removesuffix('-agent')}"
        digest = await self.world.push(repository, tag, salt, kind)  # type: ignore[arg-type]
        name = f"{repository}:{tag if len(tag) < 20 else tag[:14] + '…'}" if tag else f"{repository} (no tag)"
        self.screen.step(0.0, "push", f"{name}  {digest[:19]}…")
        await self.follow(agent, began, mark, lambda line: line["reason"] == ends and line.get("digest") == digest)
        return digest

    async def follow(self, agent: str, began: datetime, mark: int, until: Callable[[Line], bool]) -> None:
        """Show the decisions about an agent, or about nobody's push, as they are made."""
        async for line in self.world.lines(mark, until):
            if line.get("agent", agent) == agent and line["reason"] not in HIDDEN:
                self.screen.step(since(began, line), line["reason"], await self._words(agent, line), line["severity"])

    async def _words(self, agent: str, line: Line) -> str:
        version = f"version {line['version']}" if "version" in line and line["reason"] != "DESIRED" else ""
        if line["reason"] == "CREATE":
            made = (await self.world.seen(agent)).versions.get(line["version"])
            return f"{version}, with {', '.join(made.variables if made else ()) or 'no variables'}"
        detail = line.get("detail") or SHOWN.get(line["reason"]) or ("" if version else line["help"])
        return "  ".join(part for part in (version, detail) if part)

    async def claims(self, agent: str, *claims: tuple[str, Judge]) -> None:
        """Ask the SDK once, and hold what it says against each claim."""
        seen = await self.world.seen(agent)
        for what, judge in claims:
            answer, holds = judge(seen)
            self.screen.claim(agent, what, answer, holds)


Scene = Callable[[Story], Awaitable[None]]


async def first_push(story: Story) -> None:
    """Push, decision, version, active, live."""
    story.screen.scene("A first push goes live")
    digest = await story.pushed(HELLO, "v1", "one", "LIVE")
    await story.claims(
        HELLO,
        ("version 1 serves, by digest", serves("1", digest)),
        (
            "its secret is there",
            lambda seen: (", ".join(seen.serving.variables), "HELLO_KEY" in seen.serving.variables),
        ),
    )


async def same_image(story: Story) -> None:
    """A second tag on the same digest."""
    story.screen.scene("The same image under a second tag makes nothing new")
    await story.pushed(HELLO, "stable", "one", "ALREADY_LIVE")
    await story.claims(HELLO, ("still one version", holds(1)))


async def second_push(story: Story) -> None:
    """Pinned, created, promoted."""
    story.screen.scene("A second version is made beside the live one, then promoted")
    digest = await story.pushed(HELLO, "v2", "two", "LIVE")
    await story.claims(HELLO, ("version 2 serves", serves("2", digest)), ("version 1 is kept", holds(2)))


async def cannot_start(story: Story) -> None:
    """Failed, and the old one stays."""
    story.screen.scene("An image that cannot start changes nothing for anybody")
    why = {"code": "ImageError", "message": "the container exited with code 1 before /readiness answered"}
    await story.world.tell("foundry", "provisioning", {"fail": {"v3-broken": why}})
    await story.pushed(HELLO, "v3-broken", "three", "IMAGE_ERROR")
    await story.claims(
        HELLO,
        ("version 3 still serves", live("3")),
        ("version 4 has failed", failed("4")),
    )


async def not_for_us(story: Story) -> None:
    """A signature, a child of an index, a stranger."""
    story.screen.scene("What is no image of an agent is skipped, with its reason")
    await story.pushed(HELLO, f"sha256-{'5' * 64}.sig", "sig", "ARTIFACT_TAG", "signature")
    await story.pushed(HELLO, None, "child", "UNTAGGED_PUSH")
    await story.pushed("stranger-agent", "v1", "stranger", "NOT_FOLLOWED")
    await story.claims(HELLO, ("nothing was made of them", holds(4)))


async def rotation(story: Story) -> None:
    """Key Vault tells of a new version."""
    story.screen.scene("A rotated secret becomes a new version")
    began, mark = datetime.now(UTC), story.world.mark()
    await story.world.tell("vault", "secrets/hello-key", {"value": "made-up-for-the-demo"})
    story.screen.step(0.0, "rotation", "a new version of hello-key in Key Vault")
    await story.follow(HELLO, began, mark, lambda line: line["reason"] == "LIVE" and line["agent"] == HELLO)
    await story.claims(HELLO, ("version 3 serves", live("3")), ("exactly one was made", holds(3)))


async def wrong_answer(story: Story) -> None:
    """Asked before it has traffic."""
    story.screen.scene("A version that answers wrongly never gets traffic")
    answers = {"v2-wrong": "I am not sure", "v3-flaky": {"pinned": "pong", "unpinned": "Internal error"}}
    await story.world.tell("foundry", "provisioning", {"answer": answers})
    await story.pushed(CAREFUL, "v2-wrong", "wrong", "VERIFY_FAILED")
    await story.claims(CAREFUL, ("version 1 still serves", live("1")))


async def fails_with_traffic(story: Story) -> None:
    """Asked with traffic, taken back, held, and then mended."""
    story.screen.scene("One that fails only with traffic is taken back, and held")
    await story.pushed(CAREFUL, "v3-flaky", "flaky", "CHECK_FAILED")
    await story.claims(CAREFUL, ("version 1 serves again", live("1")))
    await story.pushed(CAREFUL, "v3-again", "flaky", "HELD")
    digest = await story.pushed(CAREFUL, "v4", "mended", "LIVE")
    await story.claims(CAREFUL, ("a newer push went live", serves("4", digest)))


async def approval(story: Story) -> None:
    """Stops before the traffic moves."""
    story.screen.scene("An agent in mode manual waits for a person")
    digest = await story.pushed(BILLING, "v2", "second", "AWAITING_APPROVAL")
    await story.claims(BILLING, ("version 1 serves while 2 waits", live("1")))
    began, mark = datetime.now(UTC), story.world.mark()
    await story.world.operate("approve", BILLING)
    await story.follow(BILLING, began, mark, lambda line: line["reason"] == "LIVE" and line["agent"] == BILLING)
    await story.claims(BILLING, ("version 2 serves once approved", serves("2", digest)))


async def prune(story: Story) -> None:
    """What nobody needs goes."""
    story.screen.scene("The timer prunes what nobody needs")
    began, mark = datetime.now(UTC), story.world.mark()
    await story.world.run("prune_versions")
    deleted = ("PRUNED_STALE", "PRUNED_FAILED")
    gone: set[str] = set()

    def over(line: Line) -> bool:
        gone.update({line["version"]} if line["reason"] in deleted and line.get("agent") == HELLO else ())
        return len(gone) == 2

    await story.follow(HELLO, began, mark, over)
    await story.claims(HELLO, ("the live version and the way back are left", holds(2)))


STORY: tuple[Scene, ...] = (
    first_push,
    same_image,
    second_push,
    rotation,
    cannot_start,
    not_for_us,
    wrong_answer,
    fails_with_traffic,
    approval,
    prune,
)
