"""``slipway adopt``: prints the ``agents.yaml`` entry of an existing agent and writes its first state."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import NOTHING_TO_DO, UsageError
from cli.options import AsJson, By, DryRun, Local, Yes
from cli.prompt import PromptOptions, confirm
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from cli.json_documents.changes import Adopted
    from core.agents_file.spec import AgentSpec
    from core.model import Agent, Definition, Push, Version
    from core.state.release import GoodVersion

CONNECTION = re.compile(r"\$\{\{connections\.([^}\s]+)\}\}")


def adopt(
    agent: Annotated[str, typer.Argument(help="An agent of the Foundry project; it need not be in agents.yaml.")],
    by: By = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Follow an agent that already runs. Prints its agents.yaml entry and asks first; its version stays live."""
    options = PromptOptions(dry_run, yes, as_json)
    run_and_print(local, as_json, lambda context: show_and_adopt(context, agent, by, options))


@dataclass(frozen=True, slots=True)
class ExistingAgent:
    """An agent, its live version, the push of that version, and the ``agents.yaml`` entry for it."""

    target: str
    agent: Agent
    live: Version
    push: Push
    entry: str


async def show_and_adopt(context: CommandContext, agent: str, by: str | None, options: PromptOptions) -> CommandResult:
    """Print the entry, ask, and write the state; the agent itself does not change."""
    from core.target import agent_of, project_of

    in_file = agent in context.agents.agents
    if not in_file and agent != agent_of(agent):
        raise UsageError(f"add {agent_of(agent)} with a stage in {project_of(agent)} to agents.yaml first")
    context.progress.activity = f"reading {agent} from Foundry"
    existing = await _read(context, agent)
    intro = f"{agent} is already in agents.yaml" if in_file else f"add this to agents.yaml:\n\n{existing.entry}"
    release = await context.gateways.state_store.get_release(agent)
    data = _data(existing, release.last_good)
    if release.last_good is not None or release.observed_generation:
        good = release.last_good.version if release.last_good else "none"
        return CommandResult(f"{intro}\nSlipway already follows {agent}: last good version {good}", data, NOTHING_TO_DO)
    version = f"version {existing.live.number} of {agent} ({existing.push.repository}@{existing.push.digest[:19]})"
    if options.dry_run:
        return CommandResult(f"{intro}\nwould record {version} as good", data)
    if not confirm(options, context.progress, intro, f"Record {version} as good?"):
        return CommandResult("nothing was written", data)
    text = await _adopt(context, existing, await context.author(by))
    return CommandResult(f"{intro}\n{text}", {**data, "adopted": True})


def _data(existing: ExistingAgent, good: GoodVersion | None) -> Adopted:
    push = existing.push
    return {
        "agent": existing.target,
        "agents_yaml": existing.entry,
        "adopted": False,
        "version": existing.live.number,
        "last_good": good.version if good else None,
        "repository": push.repository,
        "tag": push.tag,
        "digest": push.digest,
    }


async def _read(context: CommandContext, name: str) -> ExistingAgent:
    """Return the agent; the values of its variables are only searched for connections, never shown."""
    from core.definition import push_of_version
    from core.target import agent_of

    agent = await context.gateways.foundry.get_agent(name)
    if agent is None or agent.live is None:
        problem = "does not exist" if agent is None else "has no live version"
        raise UsageError(f"the agent {name} {problem} in {context.endpoint_of(name)}")
    live = await context.gateways.foundry.get_definition(name, agent.live)
    push = push_of_version(live.version) if live else None
    if live is None or push is None:
        raise UsageError(f"version {agent.live} of {name} does not name its image by digest: push it again")
    server = live.version.image.partition("/")[0]
    if server != context.settings.registry_login_server:
        raise UsageError(f"{name} runs an image of {server}, not of {context.settings.registry_login_server}")
    entry = agents_yaml_entry(agent_of(name), push.repository, live.definition)
    return ExistingAgent(name, agent, live.version, await _with_tag(context, push), entry)


async def _adopt(context: CommandContext, existing: ExistingAgent, by: str) -> str:
    """Write the state; return what was recorded and what follows."""
    from cli.output import join_lines
    from handlers import user_commands

    name = existing.target
    spec = context.agents.agents.get(name) or _parse_entry(existing.entry, name)
    update = await user_commands.adopt(spec, existing.agent, existing.live, existing.push, by, context.gateways)
    return join_lines(f"{name}: {update.reason} {update.detail}", f"  {update.reason.help_for(name)}")


def _parse_entry(entry: str, name: str) -> AgentSpec:
    """Return the printed entry as the app will read it."""
    from core.agents_file.loader import AgentsFileError, load_agents

    try:
        return load_agents(f"agents:\n{entry}".encode()).agents[name]
    except AgentsFileError as error:
        text = f"the entry made from Foundry's answer is not valid; write one into agents.yaml first\n{error}"
        raise UsageError(text) from None


async def _with_tag(context: CommandContext, push: Push) -> Push:
    """Return the push with the registry's tag and time, so that only a newer push is released."""
    from cli.image_reference import find_tag_of_digest

    found = await find_tag_of_digest(push.repository, push.digest, context.gateways)
    return replace(push, tag=found.tag, pushed_at=found.pushed_at) if found else push


def agents_yaml_entry(agent: str, repository: str, definition: Definition) -> str:
    """Return the agent's entry, indented as below ``agents:``."""
    from cli.output import join_lines
    from core.definition import own_variables
    from core.model import SecretValue

    lines = [f"  {agent}:", f"    repository: {repository}"]
    sizes = {"cpu": definition.cpu, "memory": definition.memory}
    lines += [f'    {key}: "{size}"' for key, size in sizes.items() if size]
    pairs = ", ".join(f'{name}: "{version}"' for name, version in definition.protocols)
    lines += [f"    protocols: {{{pairs}}}"] if pairs else []
    variables = {
        name: value.reveal() if isinstance(value, SecretValue) else value
        for name, value in sorted(definition.environment.items())
        if name in own_variables(frozenset(definition.environment)) and not name.startswith("SLIPWAY_")
    }
    lines += ["    env:"] if variables else []
    lines += [f"      {name}: {_env_value(name, value)}" for name, value in variables.items()]
    return join_lines(*lines)


def _env_value(name: str, value: str) -> str:
    """Return a connection by its name; any other value may be a secret, so it is never copied."""
    connection = CONNECTION.fullmatch(value)
    if connection:
        return f"{{connection: {connection[1]}}}"
    secret = name.lower().replace("_", "-")
    return f"{{secret: {secret}}}  # or the plain value, if it is not a secret; it is not shown here"
