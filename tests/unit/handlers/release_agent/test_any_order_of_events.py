"""Whatever the order, copies and lateness of events, an agent ends at what the registry says and its rules allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from core.agents_file.loader import load_agents
from core.image_manifest import ImageFacts, RegistryTag
from core.intake.registry_check import newest_allowed_push
from tests.simulation.virtual_time import VirtualClock, run
from tests.support.app import AGENT, REPOSITORY, App
from tests.support.builders import push_data, push_event

SPEC = """
agents:
  hello-agent:
    repository: agents/hello
    tags: {order: %s, ignore: [dev]}
    release: {debounce: 0s}
"""
TAGS = ("1.0.0", "1.1.0", "2.0.0", "0.9.0", "1.1.0-dev")
REJECTED = ("NOT_AN_IMAGE", "WRONG_PLATFORM")
BAD = (ImageFacts("NOT_AN_IMAGE", "a cache"), ImageFacts("WRONG_PLATFORM", "linux/arm64"))


@dataclass(frozen=True)
class Delivery:
    """One event of a push: how long after it, and how far its time is from that of the push."""

    push: int
    late: float
    time_error: float


@dataclass(frozen=True)
class History:
    order: str
    pushes: Sequence[tuple[str, int, bool]]
    """Tag, image, and whether the image can be deployed."""
    gaps: Sequence[float]
    deliveries: Sequence[Delivery]
    lag: float
    """Seconds until the registry shows a push."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    lag = draw(st.sampled_from([0.0, 0.0, 5.0, 60.0]))
    count = draw(st.integers(1, 6))
    bad = draw(st.sets(st.integers(0, 4), max_size=3))
    images = [draw(st.integers(0, 4)) for _ in range(count)]
    pushes = [(draw(st.sampled_from(TAGS)), image, image not in bad) for image in images]
    # while the registry lags, nobody sees an image that was good for a moment, until its tag moved to one that is not
    assume(not lag or len({push[0] for push in pushes}) == count or all(is_good for _, _, is_good in pushes))
    gaps = [draw(st.sampled_from([0.5, 2.0, 40.0, 200.0])) for _ in range(count)]
    # a tag that goes back to an image while the registry lags and events are late is settled by the daily run
    late = st.sampled_from([0.0, 1.0, 30.0, 400.0]) if not lag or len(set(pushes)) == count else st.just(0.0)
    wrong = st.just(0.0) if lag else st.sampled_from([0.0, 0.0, 0.0, 1e9])
    deliveries = [Delivery(number, draw(late), draw(wrong)) for number in range(count)]
    more = st.builds(Delivery, st.integers(0, count - 1), late, wrong)
    deliveries += draw(st.lists(more, max_size=4))
    return History(draw(st.sampled_from(["pushed", "semver"])), pushes, gaps, draw(st.permutations(deliveries)), lag)


def live_digest(app: App) -> str | None:
    agent = app.foundry.agents.get(AGENT)
    version = agent.versions[agent.routing.pinned or ""] if agent and agent.routing.pinned else None
    return version.image.rpartition("@")[2] if version else None


async def play(history: History) -> App:
    """Each push, its events and every message, at their times."""
    app = App(clock=VirtualClock(), agents=load_agents((SPEC % history.order).encode()))
    begin, pushed_at = app.clock.now(), list[float]()
    todo: list[tuple[float, int, str, int]] = []
    for number, gap in enumerate(history.gaps):
        pushed_at.append((pushed_at[-1] if pushed_at else 0.0) + gap)
        todo.append((pushed_at[-1] + history.lag, 0, "store", number))
    for number, delivery in enumerate(history.deliveries):
        todo.append((pushed_at[delivery.push] + delivery.late, 1, "event", number))
    app.registry.push(REPOSITORY, "unrelated-dev", f"sha256:{9:064x}", begin)
    for at, _, kind, number in sorted(todo):
        await work(app, at)
        await app.clock.sleep(max(0.0, at - app.clock.monotonic()))
        if kind == "store":
            store(app, history.pushes[number], begin + timedelta(seconds=pushed_at[number]))
        else:
            delivery = history.deliveries[number]
            seconds = pushed_at[delivery.push] + delivery.time_error
            await send(app, history.pushes[delivery.push], number, begin + timedelta(seconds=seconds))
    await work(app, app.clock.monotonic() + 3600)
    return app


def store(app: App, push: tuple[str, int, bool], at: datetime) -> None:
    tag, image, is_good = push
    facts = None if is_good else BAD[image % 2]
    app.registry.push(REPOSITORY, tag, f"sha256:{image:064x}", at, facts)


async def send(app: App, push: tuple[str, int, bool], number: int, at: datetime) -> None:
    data = push_data(tag=push[0], digest=f"sha256:{push[1]:064x}")
    await app.event(push_event(id=f"event-{number}", eventTime=at.isoformat(), data=data))


async def work(app: App, until: float) -> None:
    """Handle the messages that are due until then."""
    waiting, handled = app.release_queue.waiting, 0
    while waiting and (message := min(waiting, key=lambda item: item.due)).due <= until:
        waiting.remove(message)
        await app.clock.sleep(max(0.0, message.due - app.clock.monotonic()))
        await app.released()
        handled += 1
        assert handled < 300, f"the releases never end: {app.journal.reasons()[-12:]}"


def expected_digests(app: App, history: History, pushed_at: Sequence[float]) -> set[str]:
    """What may be live: the newest allowed tag whose image can be deployed.

    A tag that moved to an image that cannot be deployed may also stand for its last good image: only events name that.
    """
    spec, begin = app.agents.agents[AGENT], datetime(2026, 11, 24, 12, tzinfo=UTC)
    current, last_good = dict[str, RegistryTag](), dict[str, RegistryTag]()
    for (tag, image, is_good), at in zip(history.pushes, pushed_at, strict=True):
        found = RegistryTag(tag, f"sha256:{image:064x}", begin + timedelta(seconds=at))
        current[tag] = found
        last_good |= {tag: found} if is_good else {}
    bad = {f"sha256:{image:064x}" for _, image, is_good in history.pushes if not is_good}
    newest = (newest_allowed_push(spec, tags.values(), bad) for tags in (current, last_good))
    return {push.digest for push in newest if push is not None}


async def check(history: History) -> None:
    app = await play(history)
    pushed_at = [sum(history.gaps[: number + 1]) for number in range(len(history.gaps))]
    desired, release = await app.state_store.get_desired(AGENT), await app.state_store.get_release(AGENT)
    expected, found, reasons = expected_digests(app, history, pushed_at), live_digest(app), app.journal.reasons()
    if expected:
        assert desired.push is not None
        assert desired.push.digest == found, reasons
        assert found in expected, reasons
    bad = {f"sha256:{image:064x}" for _, image, is_good in history.pushes if not is_good}
    assert not bad & {version.image.rpartition("@")[2] for version in await app.foundry.list_versions(AGENT)}
    assert (release.observed_generation, release.is_open) == (desired.generation, False)
    rejections = [line for line in app.journal.lines if line["reason"] in REJECTED and line["step"] != "push"]
    keys = [(line["digest"], line["generation"]) for line in rejections]
    assert len(keys) == len(set(keys)), "a rejection is reported twice for one generation"


@settings(max_examples=200, deadline=None, derandomize=True, phases=[Phase.generate])
@given(histories())
def test_an_agent_ends_at_what_the_registry_says(history: History) -> None:
    run(check(history))
