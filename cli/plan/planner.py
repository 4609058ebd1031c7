"""Makes a plan: runs the real handlers against gateways that read, and record writes instead of making them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.event_files import RELEASE, FoundEvent
from cli.exit_codes import UsageError
from cli.output import columns, join_lines, meaning, subject
from cli.plan.arguments import PlanArguments, image_as_event
from cli.plan.assumptions import Assumptions
from cli.plan.recording_gateways import ASSUMED_ANSWER, PlanGateways, Source, recording_gateways
from cli.plan.snapshot import SnapshotGateways, read_snapshot
from cli.runner import CommandContext, CommandResult, silence_logging, unknown_agent
from core.agents_file.evaluation import CriterionSpec, EvaluateSpec
from core.agents_file.loader import AgentsFileError
from core.agents_file.spec import Agents, AgentSpec, Probe
from core.events import ImagePushed
from core.reasons import Reason
from core.target import DEFAULT_PROJECT, agent_of
from handlers.agents_file import read_agents_file
from handlers.events.event_queued import handle_event, parse_delivery
from handlers.gateways.in_memory.clock import ManualClock
from handlers.release_agent.reconcile import reconcile
from handlers.release_agent.stages import take_promotion, wake_next_stage
from handlers.settings import Settings

MAX_PASSES = 20
"""Of one agent; a pass ends when the release waits, as for min_push_age or debounce."""


def plan_offline(arguments: PlanArguments, file: Path, agents_file: Path, registry: str | None) -> CommandResult:
    """Plan from a snapshot file; no service is called."""
    silence_logging()
    snapshot = read_snapshot(file)
    agents = _load(agents_file)
    name = registry or snapshot.registry or _registry_of(arguments.events)
    empty: dict[str, Any] = dict.fromkeys((field.name for field in fields(Settings)), "")
    known = {
        "registry_name": name,
        "registry_login_server": snapshot.login_server or f"{name.lower()}.azurecr.io",
        "foundry_project_endpoint": snapshot.project,
        "poll_seconds": 2.0,
    }
    assumptions, clock = Assumptions(), ManualClock(arguments.at or snapshot.at or datetime.now(UTC))
    reads: Any = SnapshotGateways(snapshot, assumptions)

    def vault_of(project: str) -> SnapshotGateways:
        return SnapshotGateways(snapshot, assumptions, project if project in agents.vaults else DEFAULT_PROJECT)

    source, settings = Source(reads, reads, vault_of, reads), Settings(**empty | known)
    gateways = recording_gateways(source, clock, settings.foundry_project_endpoint, assumptions)
    for event in arguments.events:  # a snapshot cannot know the tags of later pushes
        for parsed in parse_delivery(json.dumps(event.body), settings, clock.now()):
            if isinstance(parsed, ImagePushed):
                gateways.registry.imagine(parsed.push)
    return asyncio.run(_plan(arguments, gateways, agents, settings, assumptions))


async def plan_live(context: CommandContext, arguments: PlanArguments, agents_file: Path | None) -> CommandResult:
    """Plan from the current state of the services; nothing is written."""
    gateways = context.gateways
    context.progress.activity = "reading state store, Foundry, Key Vault and registry"
    vault_of = gateways.project_vault or (lambda _: gateways.key_vault)
    source = Source(gateways.state_store, gateways.foundry, vault_of, gateways.registry)
    agents = _load(agents_file) if agents_file else context.agents
    assumptions, clock = Assumptions(), ManualClock(arguments.at or gateways.clock.now())
    recording = recording_gateways(source, clock, context.settings.foundry_project_endpoint, assumptions)
    return await _plan(arguments, recording, agents, context.settings, assumptions)


def _load(file: Path) -> Agents:
    try:
        return read_agents_file(file)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; name another file with --agents") from None
    except AgentsFileError as error:
        raise UsageError(error.text_for(str(file))) from None


def _registry_of(events: tuple[FoundEvent, ...]) -> str:
    """Return the registry of the first push: a snapshot without a registry accepts any."""
    topics = (str(event.body.get("topic") or event.body.get("source") or "") for event in events)
    return next((topic.rpartition("/")[2] for topic in topics if "registries/" in topic.lower()), "registry")


async def _plan(
    arguments: PlanArguments, gateways: PlanGateways, agents: Agents, settings: Settings, assumptions: Assumptions
) -> CommandResult:
    now = gateways.clock.now()
    specs = {name: _with_passing_probes(spec) for name, spec in agents.agents.items()}
    if arguments.agent is not None:
        if arguments.agent not in agents.agents:
            raise unknown_agent(arguments.agent, agents)
        specs = {name: spec for name, spec in specs.items() if spec.agent == agent_of(arguments.agent)}
    agents = Agents(agents=specs, vaults=agents.vaults)
    events = arguments.events or await image_as_event(arguments, agents, settings, gateways)
    rows = [row for event in events for row in await _handle_event(event, agents, settings, gateways)]
    if arguments.agent is not None and not arguments.image:
        await gateways.release_queue.enqueue(arguments.agent)
    rows += await _release_all(agents, settings, gateways)
    data = {"at": now.isoformat(), "steps": rows, "assumed": assumptions.fields}
    return CommandResult(_text(rows, assumptions), data)


def _with_passing_probes(spec: AgentSpec) -> AgentSpec:
    """Return the spec with probes that the assumed answer passes."""

    def passing(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        return tuple(probe.model_copy(update={"expect": ASSUMED_ANSWER if probe.expect else None}) for probe in probes)

    gates = {"verify": passing(spec.release.verify), "check": passing(spec.release.check)}
    passed = {"evaluate": _passing_evaluation(spec.release.evaluate)} if spec.release.evaluate else {}
    return spec.model_copy(update={"release": spec.release.model_copy(update=gates | passed)})


def _passing_evaluation(asked: EvaluateSpec) -> EvaluateSpec:
    """Return the spec with one question, which the assumed answer passes, and no question to the live version."""
    row = json.dumps({"ask": "assumed", "expect": ASSUMED_ANSWER}).encode()
    criteria = {"expect": CriterionSpec(pass_rate=1)}
    return asked.model_copy(update={"criteria": criteria, "no_worse_than": None}).with_dataset(row)[0]


async def _handle_event(
    event: FoundEvent, agents: Agents, settings: Settings, gateways: PlanGateways
) -> list[dict[str, Any]]:
    if event.kind == RELEASE:
        await gateways.release_queue.enqueue(event.id)
        return []
    await handle_event(json.dumps(event.body), agents, settings, gateways)
    return [_row(decision, gateways) for decision in _take_decisions(gateways)]


async def _release_all(agents: Agents, settings: Settings, gateways: PlanGateways) -> list[dict[str, Any]]:
    """Run each agent's release after all events: the messages of an agent merge into one release."""
    queue, clock, rows = gateways.release_queue, gateways.clock, list[dict[str, Any]]()
    for _ in range(MAX_PASSES * max(1, len(agents.agents))):
        if (message := queue.take_earliest()) is None:
            break
        await clock.sleep(max(0.0, message.due - clock.monotonic()))
        if (agent := message.agent) in agents.agents:
            spec, now = agents.agents[agent], clock.now()
            may_release = await take_promotion(spec, gateways)
            end = await reconcile(spec, settings, gateways) if may_release else Reason.NO_PUSH_YET
            await wake_next_stage(spec, end, agents, gateways)
            end, due, detail = await _waits_for(spec, end, now, gateways)
            if due and not any(waiting.agent == agent for waiting in queue.waiting):
                # the app has sent the message for that time already
                await queue.enqueue(agent, delay=max(0.0, (due - now).total_seconds()))
            unchanged = {"agent": agent, "reason": end.value, "severity": end.severity, "help": end.help_for(agent)}
            decisions = _take_decisions(gateways) or [unchanged | {"detail": detail}]
            rows += [_row(decision, gateways) for decision in decisions]
    return rows


async def _waits_for(
    spec: AgentSpec, end: Reason, now: datetime, gateways: PlanGateways
) -> tuple[Reason, datetime | None, str]:
    """Return what the target waits for, until when, and the same for people: its stage, or its window."""
    wait = (await gateways.state_store.get_desired(spec.name)).stage_wait
    if wait is not None and wait.reason == Reason.STAGE_WAITING:
        return Reason.STAGE_WAITING, wait.until, f"{wait.push.tag} goes on at {wait.until:%Y-%m-%d %H:%M:%S} UTC"
    opening = spec.release.opens_at(now) if end is Reason.WINDOW_CLOSED else None
    return end, opening, f"opens {spec.release.describe(opening, now)}" if opening else ""


def _take_decisions(gateways: PlanGateways) -> list[Mapping[str, object]]:
    decisions = list(gateways.journal.lines)
    gateways.journal.lines.clear()
    return decisions


KEYS = ("agent", "reason", "severity", "detail", "help", "event", "repository", "tag", "digest", "version")


def _row(decision: Mapping[str, object], gateways: PlanGateways) -> dict[str, Any]:
    row: dict[str, Any] = {key: decision[key] for key in KEYS if decision.get(key) not in (None, "")}
    row["meaning"] = Reason[str(decision["reason"])].meaning
    row["after_s"] = round(gateways.clock.monotonic(), 1)
    return row


def _text(rows: list[dict[str, Any]], assumptions: Assumptions) -> str:
    cells = [(str(row.get("agent", row.get("event", ""))), subject(row), row["reason"], meaning(row)) for row in rows]
    lines = [columns(cells)] if cells else ["nothing would happen"]
    return "\n".join([*lines, *(join_lines(f"assumed: {assumption}") for assumption in assumptions.sentences)])
