"""What would follow: the handlers themselves, in a world in which nothing is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.codes import Mistake
from cli.event_files import RELEASE, Found
from cli.imagined import ANSWER, Assumed, Clock
from cli.imagined_reads import Journal, Queue, recording_gateways
from cli.plan_asked import Asked, as_event
from cli.recorded import Recorded, read
from cli.running import Answer, House, quiet, unknown_agent
from cli.screen import about, columns, meaning
from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.spec import Agents, AgentSpec, Probe
from core.reasons import Reason
from handlers.events.event_queued import handle_event
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.reconcile import reconcile
from handlers.settings import Settings

MOST_TURNS = 20
"""Of one agent: each is a wait, for soak or settle."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an imagined world falls back to."""

    state_store: Any
    foundry: Any
    key_vault: Any
    registry: Any


def offline(asked: Asked, file: Path, agents: Path, registry: str | None) -> Answer:
    """A plan from files alone."""
    quiet()
    world = read(file)
    rules = _rules(agents)
    name = registry or world.registry or _registry_of(asked.events)
    empty: dict[str, Any] = dict.fromkeys((one.name for one in fields(Settings)), "")
    server = world.login_server or f"{name.lower()}.azurecr.io"
    said = {"registry_name": name, "registry_login_server": server, "foundry_project_endpoint": world.project}
    settings = Settings(**empty | said | {"poll_seconds": 2.0})
    recorded = Recorded(world)
    seen = Seen(recorded, recorded, recorded, recorded)
    return asyncio.run(_plan(asked, seen, rules, settings, world.at or datetime.now(UTC)))


async def live(house: House, asked: Asked, agents: Path | None) -> Answer:
    """A plan from what is there now; read only."""
    gateways = house.gateways
    house.progress.what = "reading ledger, Foundry, Key Vault and registry"
    seen = Seen(gateways.state_store, gateways.foundry, gateways.key_vault, gateways.registry)
    rules = _rules(agents) if agents else house.agents
    return await _plan(asked, seen, rules, house.settings, gateways.clock.now())


def _rules(file: Path) -> Agents:
    try:
        return load_agents(file.read_bytes())
    except OSError as error:
        raise Mistake(f"{file}: {error.strerror}; --agents FILE names another") from None
    except AgentsFileError as error:
        raise Mistake(error.text_for(str(file))) from None


def _registry_of(events: tuple[Found, ...]) -> str:
    """Of the first push: a world that names no registry says nothing against it."""
    topics = (str(one.body.get("topic") or one.body.get("source") or "") for one in events)
    return next((topic.rpartition("/")[2] for topic in topics if "registries/" in topic.lower()), "registry")


async def _plan(asked: Asked, seen: Seen, agents: Agents, settings: Settings, at: datetime) -> Answer:
    assumed, clock = Assumed(), Clock(at)
    gateways = recording_gateways(seen, clock, settings.foundry_project_endpoint, assumed)
    rules = Agents(agents={name: _expecting(rule) for name, rule in agents.agents.items()})
    if asked.agent is not None:
        if asked.agent not in rules.agents:
            raise unknown_agent(asked.agent, rules)
        rules = Agents(agents={asked.agent: rules.agents[asked.agent]})
    events = asked.events or await as_event(asked, rules, settings, gateways)
    rows = [row for one in events for row in await _event(one, rules, settings, gateways)]
    if asked.agent is not None and not asked.image:
        await gateways.release_queue.enqueue(asked.agent)
    rows += await _releases(rules, settings, gateways)
    return Answer(_text(rows, assumed), {"at": at, "steps": rows, "assumed": list(assumed.said)})


def _expecting(spec: AgentSpec) -> AgentSpec:
    """The rule with questions that the imagined agent's answer passes."""

    def passing(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        return tuple(one.model_copy(update={"expect": ANSWER if one.expect else None}) for one in probes)

    asks = {"verify": passing(spec.release.verify), "check": passing(spec.release.check)}
    return spec.model_copy(update={"release": spec.release.model_copy(update=asks)})


async def _event(event: Found, rules: Agents, settings: Settings, gateways: Gateways) -> list[dict[str, Any]]:
    if event.kind == RELEASE:
        await gateways.release_queue.enqueue(event.id)
        return []
    await handle_event(json.dumps(event.body), rules, settings, gateways)
    return [_row(line, gateways) for line in _taken(gateways)]


async def _releases(rules: Agents, settings: Settings, gateways: Gateways) -> list[dict[str, Any]]:
    """Each agent's release, once all events are noted: messages of one agent come to one release."""
    queue, clock, rows = _queue(gateways), gateways.clock, list[dict[str, Any]]()
    for _ in range(MOST_TURNS * max(1, len(rules.agents))):
        if not queue.due:
            break
        agent, due = min(queue.due.items(), key=lambda one: one[1])
        del queue.due[agent]
        await clock.sleep(max(0.0, due - clock.monotonic()))
        if agent in rules.agents:
            end = await reconcile(rules.agents[agent], settings, gateways)
            lines = _taken(gateways) or [
                {"agent": agent, "reason": end.value, "severity": end.severity, "help": end.help}
            ]
            rows += [_row(line, gateways) for line in lines]
    return rows


def _queue(gateways: Gateways) -> Queue:
    return gateways.release_queue  # type: ignore[return-value]


def _taken(gateways: Gateways) -> list[Mapping[str, object]]:
    journal: Journal = gateways.journal  # type: ignore[assignment]
    return journal.taken()


KEPT = ("agent", "reason", "severity", "detail", "help", "event", "repository", "tag", "digest", "version")


def _row(line: Mapping[str, object], gateways: Gateways) -> dict[str, Any]:
    row: dict[str, Any] = {key: line[key] for key in KEPT if line.get(key) not in (None, "")}
    row["meaning"] = Reason[str(line["reason"])].meaning
    row["after_s"] = round(gateways.clock.monotonic(), 1)
    return row


def _text(rows: list[dict[str, Any]], assumed: Assumed) -> str:
    shown = [
        (
            str(row.get("agent", row.get("event", ""))),
            about(row),
            str(row["reason"]),
            meaning(row),
        )
        for row in rows
    ]
    lines = [columns(shown)] if shown else ["nothing follows"]
    lines += [f"assumed: {what}" for what in assumed.said]
    return "\n".join(lines)
