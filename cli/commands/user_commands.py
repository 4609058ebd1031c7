"""The commands of a user: each writes the desired state and enqueues a message; the app does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import DONE, NOTHING_TO_DO, UsageError
from cli.options import Agent, AsJson, By, Digest, Image, Local, Until, Watch, Why
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from datetime import datetime

    from cli.json_documents.changes import Change
    from core.intake.events import DesiredUpdate

ON_SEVERAL_AGENTS = ("pause", "unpause")
"""The functions of handlers.user_commands that take several agents."""
ON_A_SPEC = "request_release"
"""The function that takes what agents.yaml says about the target."""


def release(
    agent: Agent,
    image: Image = None,
    stage: Annotated[str | None, typer.Option(help="Why the image may go past the stage before this one.")] = None,
    by: By = None,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Release an image, whatever its tag and age. Removes a hold on it. Goes past a stage only with a reason."""
    if image is None:
        raise UsageError("name an image: --image REF; to release the desired image again: slipway retry")
    _run("request_release", agent, local, as_json, watch, by=by, image=image, stage=stage)


def retry(agent: Agent, by: By = None, watch: Watch = False, local: Local = False, as_json: AsJson = False) -> None:
    """Release the desired image again. Removes a hold on it."""
    _run("request_release", agent, local, as_json, watch, by=by)


def rollback(  # noqa: PLR0913, PLR0917 - one parameter an option
    agent: Agent,
    why: Why,
    to: Annotated[str | None, typer.Option(help="The version; by default the previous good one.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also if the registry does not have the version's image any more.")
    ] = False,
    by: By = None,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Make an earlier version live again. Works during a pause; holds the replaced version."""
    _run("request_rollback", agent, local, as_json, watch, by=by, why=why, to=to, force=force)


def approve(
    agent: Agent,
    version: Annotated[str | None, typer.Option(help="The version that you mean; any other is refused.")] = None,
    digest: Annotated[str | None, typer.Option(help="The image that you mean, sha256:…; any other is refused.")] = None,
    by: By = None,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Let the waiting version go live. Asks, unless you name the version or its image."""
    from cli.commands.approve import approve_named

    named = {key: value for key, value in {"version": version, "digest": digest}.items() if value is not None}
    run_and_print(
        local, as_json, lambda context: approve_named(context, agent, named, by, watch=watch, as_json=as_json)
    )


def hold(
    agent: Agent,
    why: Why,
    by: By = None,
    digest: Digest = None,
    until: Until = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Keep an image from going live."""
    _run("hold", agent, local, as_json, why=why, by=by, digest=digest, until=until)


def unhold(
    agent: Agent,
    by: By = None,
    digest: Annotated[str | None, typer.Option(help="An image, sha256:…; by default every held image.")] = None,
    watch: Watch = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Remove the holds on an image, or all holds. The desired image is then released."""
    _run("unhold", agent, local, as_json, watch, by=by, digest=digest)


def pause(
    agent: Agent,
    why: Why,
    by: By = None,
    until: Until = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Stop an agent's releases before their next step. `all` stops every agent's."""
    _run("pause", agent, local, as_json, why=why, by=by, until=until)


def resume(agent: Agent, by: By = None, watch: Watch = False, local: Local = False, as_json: AsJson = False) -> None:
    """End a pause. `all` resumes every agent."""
    _run("unpause", agent, local, as_json, watch, by=by)


def _run(function: str, agent: str, local: bool, as_json: bool, watch: bool = False, **arguments: Any) -> None:
    given = {key: value for key, value in arguments.items() if value is not None}
    run_and_print(local, as_json, lambda context: apply(context, function, agent, given, watch=watch, as_json=as_json))


async def apply(
    context: CommandContext, function: str, agent: str, arguments: Mapping[str, Any], *, watch: bool, as_json: bool
) -> CommandResult:
    """Call a function of handlers.user_commands for each agent; then watch, if asked to."""
    from handlers import user_commands

    names = context.select_agents(agent)
    if "image" in arguments:
        _check_stage(context, names[0], arguments.get("stage"))
    parsed = await _parse(context, names[0], arguments) if names else {}
    parsed["by"] = await context.author(arguments.get("by"))
    context.progress.activity = "writing the desired state"
    since, command = context.gateways.clock.now(), getattr(user_commands, function)
    journal_end = await context.gateways.journal.end(since) if watch else {}
    if function in ON_SEVERAL_AGENTS:
        updates = list(await command(tuple(names), gateways=context.gateways, **parsed))
    else:
        subjects = [context.spec_of(name) if function == ON_A_SPEC else name for name in names]
        updates = [await command(subject, gateways=context.gateways, **parsed) for subject in subjects]
    by_agent: dict[str, DesiredUpdate] = dict(zip(names, updates, strict=True))
    generations = {name: update.desired.generation for name, update in by_agent.items() if update.enqueues}
    if watch and generations:
        from cli.commands.watch import watch as watch_releases
        from cli.output import print_text

        if not as_json:
            print_text(_text(by_agent))
        return await watch_releases(context, generations, since, as_json, journal_end)
    data = [_change(name, update, parsed["by"], since) for name, update in by_agent.items()]
    return CommandResult(_text(by_agent), data, _exit_code(by_agent))


def _change(agent: str, update: DesiredUpdate, by: str, now: datetime) -> Change:
    """Return what was changed, and the desired state after it."""
    from cli.durations import as_iso
    from cli.release_status import hold_fields, pause_fields
    from core.state.holds import set_by_people

    desired, reason = update.desired, update.reason
    push, pause, approval, rollback = desired.push, desired.pause, desired.approval, desired.rollback
    return {
        "agent": agent,
        "reason": reason.value,
        "severity": reason.severity,
        "detail": update.detail,
        "help": reason.help_for(agent),
        "remedy": reason.remedy_for(agent) or None,
        "by": by,
        "generation": desired.generation,
        "enqueued": update.enqueues,
        "desired": {"repository": push.repository, "tag": push.tag, "digest": push.digest} if push else None,
        "pause": pause_fields(pause, now) if pause is not None and pause.is_active(now) else None,
        "holds": [hold_fields(hold, now) for hold in set_by_people(desired, now)],
        "approved": approval.version if approval else None,
        "rolled_back_to": rollback.version if rollback else None,
        "due": as_iso(update.due),
    }


def _check_stage(context: CommandContext, target: str, stage: str | None) -> None:
    """Raise UsageError for an image that would go past the stage before without a reason, or where there is none."""
    upstream = context.agents.agents[target].place.upstream
    if stage is not None and (not upstream or not stage.strip()):
        raise UsageError(f"{target} has no stage before it" if not upstream else "say why: --stage WHY")
    if upstream and stage is None:
        where = " and ".join(upstream)
        raise UsageError(f"{target} takes what is good at {where}; to send an image past that stage: --stage WHY")


async def _parse(context: CommandContext, agent: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the image as a push, and the end as a time."""
    parsed = dict(arguments)
    if "image" in parsed:
        from cli.image_reference import resolve_push

        context.progress.activity = "reading the image from the registry"
        server = context.settings.registry_login_server
        parsed["push"] = await resolve_push(parsed.pop("image"), context.agents.agents[agent], server, context.gateways)
    if "until" in parsed:
        from cli.durations import parse_duration

        parsed["until"] = context.gateways.clock.now() + parse_duration(parsed["until"])
    return parsed


def _exit_code(updates: Mapping[str, DesiredUpdate]) -> int:
    from core.reasons import Reason

    no_effect = (
        Reason.NOTHING_TO_APPROVE,
        Reason.NOTHING_HELD,
        Reason.NOTHING_PAUSED,
        Reason.NO_PUSH_YET,
        Reason.NO_ROLLBACK_VERSION,
        Reason.IMAGE_GONE,
        Reason.STAGE_NOT_PASSED,
        Reason.STAGE_WAITING,
    )
    return NOTHING_TO_DO if all(update.reason in no_effect for update in updates.values()) else DONE


def _text(updates: Mapping[str, DesiredUpdate]) -> str:
    from cli.output import join_lines

    lines = [f"{agent}: {update.reason} {update.detail}".rstrip() for agent, update in updates.items()]
    only = next(iter(updates)) if len(updates) == 1 else None
    return join_lines(*lines, *sorted({f"  {update.reason.help_for(only)}" for update in updates.values()}))
