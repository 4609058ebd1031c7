"""``slipway approve``: approves the version that the user names, or the one that the user was shown."""

from __future__ import annotations

from collections.abc import Mapping

from cli.commands.user_commands import apply
from cli.exit_codes import NOTHING_TO_DO, UsageError
from cli.prompt import PromptOptions, can_ask, confirm
from cli.runner import CommandContext, CommandResult

WITHOUT_NAME = "name what you approve: --version N or --digest sha256:…; `slipway status` shows both"


async def approve_named(
    context: CommandContext, agent: str, named: Mapping[str, str], by: str | None, *, watch: bool, as_json: bool
) -> CommandResult:
    """Approve; a candidate that is not, or not any more, the named one is refused."""
    if not named:
        options = PromptOptions(dry_run=False, yes=False, as_json=as_json)
        if agent not in context.select_agents(agent) or not can_ask(options):
            raise UsageError(WITHOUT_NAME)
        named = await _waiting(context, agent)
        if not named:
            return CommandResult(f"{agent}: no version waits", [], NOTHING_TO_DO)
        shown, question = " ".join(named.values()), f"Let version {named['version']} of {agent} go live?"
        if not confirm(options, context.progress, f"version {shown}", question):
            return CommandResult("nothing was approved", [], NOTHING_TO_DO)
    arguments = {key: value for key, value in named.items() if key != "tag"}
    return await apply(context, "approve", agent, {**arguments, "by": by}, watch=watch, as_json=as_json)


async def _waiting(context: CommandContext, agent: str) -> dict[str, str]:
    """Version, tag and digest of what waits for an approval; empty where nothing does."""
    from core.intake.user_commands import waiting_version

    release = await context.gateways.state_store.get_release(agent)
    version, push = waiting_version(release), release.push
    return {"version": version, "tag": push.tag, "digest": push.digest} if version and push else {}
