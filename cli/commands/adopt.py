"""Takes over an agent that runs already: the rule that says what it is, and the ledger's first two records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cli.asking_first import How, sure
from cli.codes import REFUSED, Mistake
from cli.running import Answer, House
from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.spec import AgentSpec
from core.definition import push_of_version
from core.model import Agent, Push, Version
from handlers import user_commands

__all__ = ["How", "adopt"]
CONNECTION = re.compile(r"\$\{\{connections\.([^}\s]+)\}\}")
PLATFORM = ("FOUNDRY_", "AGENT_", "SLIPWAY_")
Json = Mapping[str, Any]


async def adopt(house: House, agent: str, by: str, how: How) -> Answer:
    """Print the rule; then, where nobody minds, write the records. The agent itself is not touched."""
    house.progress.what = f"asking Foundry about {agent}"
    told = await house.gateways.foundry.get_agent(agent)
    if told is None or told.live is None:
        missing = "does not exist" if told is None else "serves nothing"
        raise Mistake(f"the agent {agent} {missing} in {house.settings.foundry_project_endpoint}")
    serves = await house.gateways.foundry.get_version(agent, told.live)
    push = push_of_version(serves) if serves else None
    if serves is None or push is None:
        raise Mistake(f"version {told.live} of {agent} does not name its image by digest: push it once more")
    server = serves.image.partition("/")[0]
    if server != house.settings.registry_login_server:
        raise Mistake(f"{agent} runs an image of {server}, not of {house.settings.registry_login_server}")
    written = house.agents.agents.get(agent)
    yaml = rule_of(agent, push.repository, await _definition(house, agent, told.live))
    return await _take_over(house, Found(told, serves, await _as_tagged(house, push)), written, yaml, by, how)


class Found:
    """What runs: the agent, its version, and the push that it was made of."""

    def __init__(self, agent: Agent, serves: Version, push: Push) -> None:
        self.agent, self.serves, self.push = agent, serves, push


async def _take_over(house: House, found: Found, written: AgentSpec | None, yaml: str, by: str, how: How) -> Answer:
    name = found.agent.name
    intro = f"{name} is in agents.yaml already" if written else f"add this to agents.yaml:\n\n{yaml}"
    release = await house.gateways.state_store.get_release(name)
    if release.last_good is not None or release.observed_generation:
        good = release.last_good.version if release.last_good else "-"
        text = f"{intro}\nSlipway follows {name} already: version {good} is good"
        return Answer(text, {"rule": yaml, "taken_over": False}, REFUSED)
    what = f"version {found.serves.number} of {name} ({found.push.repository}@{found.push.digest[:19]})"
    if how.dry_run:
        return Answer(f"{intro}\nthe ledger would say that {what} is good", {"rule": yaml, "taken_over": False})
    if not sure(how, house.progress, intro, f"Write down that {what} is good?"):
        return Answer("nothing was written", {"rule": yaml, "taken_over": False})
    noted = await user_commands.adopt(
        written or _read(yaml, name), found.agent, found.serves, found.push, by, house.gateways
    )
    text = f"{intro}\n{name}: {noted.reason} {noted.detail}\n  {noted.reason.help}"
    return Answer(text, {"rule": yaml, "taken_over": True, "version": found.serves.number})


def _read(yaml: str, name: str) -> AgentSpec:
    """The rule that was printed, as the app will read it."""
    try:
        return load_agents(f"agents:\n{yaml}".encode()).agents[name]
    except AgentsFileError as error:
        raise Mistake(f"write the rule into agents.yaml first: what Foundry tells makes none\n{error}") from None


async def _as_tagged(house: House, push: Push) -> Push:
    """With the tag and the time that the registry has for it: only what is newer than that is released."""
    listed = await house.gateways.registry.list_tags(push.repository)
    found = next((one for one in listed if one.digest == push.digest), None)
    if found is None:
        return push
    return Push(push.repository, push.digest, found.tag, found.pushed_at, push.event_id)


async def _definition(house: House, agent: str, version: str) -> Json:
    """The definition as Foundry tells it; values of variables are looked at for connections, and never shown."""
    from azure.ai.projects.aio import AIProjectClient
    from azure.core.exceptions import AzureError
    from azure.identity.aio import DefaultAzureCredential

    from handlers.gateways.errors import TransientError

    async with (
        DefaultAzureCredential(require_envvar=True) as credential,
        AIProjectClient(house.settings.foundry_project_endpoint, credential) as client,
    ):
        try:
            told: Any = await client.agents.get_version(agent, version)
        except AzureError as error:
            raise TransientError("Foundry", "no answer", f"get version {version} of {agent}") from error
        return dict(told.get("definition") or {})


def rule_of(agent: str, repository: str, definition: Json) -> str:
    """The agent rule, indented as below ``agents:``."""
    lines = [f"  {agent}:", f"    repository: {repository}"]
    lines += [f'    {key}: "{definition[key]}"' for key in ("cpu", "memory") if definition.get(key)]
    protocols = {str(one["protocol"]): str(one["version"]) for one in definition.get("protocol_versions") or []}
    pairs = ", ".join(f'{name}: "{version}"' for name, version in protocols.items())
    lines += [f"    protocols: {{{pairs}}}"] if pairs else []
    variables = {
        name: str(value)
        for name, value in sorted((definition.get("environment_variables") or {}).items())
        if not name.startswith(PLATFORM)
    }
    lines += ["    env:"] if variables else []
    lines += [f"      {name}: {_value(name, value)}" for name, value in variables.items()]
    return "\n".join(lines)


def _value(name: str, value: str) -> str:
    """A connection by its name; anything else may be a secret: a person says what it is."""
    found = CONNECTION.fullmatch(value)
    if found:
        return f"{{connection: {found[1]}}}"
    secret = name.lower().replace("_", "-")
    return f"{{secret: {secret}}}  # or the text itself, if it is none: Foundry knows it, and it is not shown here"
