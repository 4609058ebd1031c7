"""Checks each service as the signed-in user: sign-in, rights, poison queues, each agent's versions and image."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from cli.concurrency import read_each
from cli.doctor import activity, judges, secret_expiries, signatures, targets
from cli.doctor.result import MAX_ANSWER_SECONDS, Check, failed, late, ok, unread, words
from core.agents_file.projects import by_vault
from core.agents_file.spec import Agents, AgentSpec, SecretRef
from core.image_manifest import ImageFacts
from core.model import Push
from core.prune.retention import near_limit
from core.reasons import Reason
from core.target import DEFAULT_PROJECT, by_project, project_of
from handlers.agent_states import AgentStates
from handlers.gateways.errors import GatewayError, PermanentError
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.poison_queues import POISON_QUEUES
from handlers.vault import read_secret


async def checks(agents: Agents, gateways: Gateways) -> list[Check]:
    """Call each service once, then check each agent, whose states are read once for all checks."""
    states = AgentStates(gateways.state_store)
    targets_to_read = [group[0] for group in by_project(agents.agents)] or ["none"]
    repository = next((spec.repository for spec in agents.agents.values()), "none")
    results = [
        *await read_each(targets_to_read, lambda target: _foundry(target, gateways)),
        await _call("your access to the state store", lambda: gateways.state_store.get_release(targets_to_read[0])),
        await _queue(gateways),
        await _call("your access to the registry", lambda: gateways.registry.recent_tags(repository, "")),
    ]
    results += [check for specs in by_vault(agents) for check in await _key_vault(specs, agents, gateways)]
    results += [await _poison_queue(queue, gateways) for queue in POISON_QUEUES]
    names = sorted(agents.agents)
    of_agents = await read_each(names, lambda name: _agent(name, agents, states, gateways))
    results += [replace(check, agent=name) for name, checks in zip(names, of_agents, strict=True) for check in checks]
    results += await signatures.checks(agents, states, gateways)
    results += await judges.checks(agents, gateways.foundry)
    results += await targets.checks(agents, states, gateways)
    results += _not_said_yet(await activity.checks(gateways), results)
    return results + await secret_expiries.checks(agents, states, gateways)


async def _call(check: str, call: Callable[[], Awaitable[object]]) -> Check:
    try:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            await call()
    except GatewayError as error:
        return failed(check, *words(error))
    except TimeoutError:
        detail = f"no answer within {MAX_ANSWER_SECONDS:.0f} s"
        return failed(check, detail, "check that this machine can reach it: proxy, firewall")
    return ok(check, "works")


async def _foundry(target: str, gateways: Gateways) -> Check:
    project = project_of(target)
    where = "" if project == DEFAULT_PROJECT else f" in project {project}"
    return await _call(f"your access to Foundry{where}", lambda: gateways.foundry.get_agent(target))


async def _queue(gateways: Gateways) -> Check:
    """Check the queue. Commands only send, which no check can try; to read the count takes one role more."""
    check = "your access to the queues"
    try:
        await gateways.release_queue.count_messages("releases")
    except PermanentError as error:
        fix = "commands need only Storage Queue Data Message Sender on the queue releases: see the queue's roles"
        return unread(check, error, fix)
    except GatewayError as error:
        return failed(check, *words(error))
    return ok(check, "works")


async def _key_vault(specs: Sequence[AgentSpec], agents: Agents, gateways: Gateways) -> list[Check]:
    """Check the vault of these targets; only the app needs to read secrets, so a refusal is not a fault."""
    target = specs[0].name
    values = (value for spec in specs for value in spec.env.values())
    secret = next((value.secret for value in values if isinstance(value, SecretRef)), "")
    if not secret:
        return []
    check = " ".join(filter(None, ("your access to Key Vault", agents.vault_of(target))))
    try:
        found = await read_secret(gateways.vault_of(target), secret)
    except GatewayError as error:
        return [unread(check, error, "only the app needs to read secrets: see the checks of its identity")]
    if not isinstance(found, str):
        return [ok(check, "works")]
    detail = f"{secret} is {found} for you"
    return [ok(check, detail) if found == "forbidden" else failed(check, detail, f"check the secret {secret}")]


def _not_said_yet(checks: Sequence[Check], said: Sequence[Check]) -> list[Check]:
    """Return the checks but for a last failure that the check of the agent's release has named already."""
    known = {(check.agent, check.reason) for check in said if check.agent and check.reason}
    return [check for check in checks if (check.agent, check.reason) not in known]


async def _poison_queue(queue: str, gateways: Gateways) -> Check:
    check = f"poison queue {queue}"
    try:
        count = await gateways.release_queue.count_messages(queue)
    except GatewayError as error:
        return unread(check, error)
    if not count:
        return ok(check, "empty")
    return failed(check, f"{count} messages that no function takes", "do what the page of POISON_QUEUE_STUCK says")


async def _agent(name: str, agents: Agents, states: AgentStates, gateways: Gateways) -> list[Check]:
    try:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            versions = await gateways.foundry.list_versions(name)
            push = (await states.get(name)).desired.push
            image = await gateways.registry.inspect(push.repository, push.digest) if push else None
    except GatewayError as error:
        return [unread(f"{name}: versions and image", error)]
    except TimeoutError:
        return [late(f"{name}: versions and image")]
    keep = agents.agents[name].keep
    count = f"{len(versions)} of {keep.limit}"
    result = ok(f"{name}: versions", count)
    if near_limit(len(versions), keep):
        result = failed(f"{name}: versions", f"{count}: near the limit of keep in agents.yaml", f"slipway prune {name}")
    return [result, _image(name, push, image)] if push else [result]


def _image(name: str, push: Push, image: ImageFacts | None) -> Check:
    check = f"{name}: image {push.tag}"
    if image is None:
        detail = f"the registry no longer has {push.digest[:19]}"
        return failed(check, detail, "push it again, and find out what purged it")
    if image.reason:
        build = Reason.WRONG_PLATFORM.remedy_for(name, image=push.reference)
        return replace(failed(check, f"{image.reason}: {image.detail}", build), reason=image.reason)
    return ok(check, "runs on linux/amd64")
