"""The gateways of a plan read from their source, and write to memory only."""

from __future__ import annotations

from dataclasses import replace

from cli.plan.assumptions import Assumptions
from cli.plan.recording_gateways import PlanFoundry, PlanQueue
from core.model import Definition, Routing, Status
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry

DEFINITION = Definition("demo.azurecr.io/agents/hello@sha256:a", "1", "2Gi", (), {})


async def test_a_version_that_is_still_being_created_is_assumed_to_become_active() -> None:
    clock, assumptions = ManualClock(), Assumptions()
    source = InMemoryFoundry(clock)
    await source.create_version("hello", DEFINITION, {})
    foundry = PlanFoundry(clock, source, "https://local", assumptions)
    version = await foundry.get_version("hello", "1")
    assert version is not None
    assert (version.status, assumptions.sentences) == (Status.ACTIVE, ["version 1 becomes active"])


async def test_writes_do_not_reach_the_source() -> None:
    clock = ManualClock()
    source = InMemoryFoundry(clock)
    await source.create_version("hello", DEFINITION, {})
    foundry = PlanFoundry(clock, source, "https://local", Assumptions())
    version = await foundry.create_version("hello", replace(DEFINITION, image="other"), {})
    assert version.number == "2"
    await foundry.set_routing("hello", Routing.to("2"))
    await foundry.delete_version("hello", "1")
    assert [version.number for version in await foundry.list_versions("hello")] == ["2"]
    assert [version.number for version in await source.list_versions("hello")] == ["1"]
    assert source.agents["hello"].routing == Routing()


async def test_the_earliest_message_stands_for_all_of_its_agent() -> None:
    queue = PlanQueue(ManualClock())
    for agent, delay in (("hello", 60), ("other", 30), ("hello", 10)):
        await queue.enqueue(agent, delay=delay)
    messages = [queue.take_earliest() for _ in range(3)]
    assert [message and (message.agent, message.due) for message in messages] == [("hello", 10), ("other", 30), None]
