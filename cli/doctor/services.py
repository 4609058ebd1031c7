"""Checks each service as the signed-in user: sign-in, rights, poison queues, each agent's versions and image."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cli.doctor import secret_expiries
from cli.doctor.result import Check, failed, ok, unknown
from cli.errors import explain
from core.agents_file.spec import Agents, SecretRef
from core.image_manifest import ImageFacts
from core.model import Push
from core.prune.retention import near_limit
from core.target import DEFAULT_PROJECT, by_project, project_of
from handlers.gateways.errors import GatewayError, PermanentError
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.read_secrets import read_secret

MAX_ANSWER_SECONDS = 20.0
POISON_QUEUES = ("events-poison", "releases-poison", "commit-statuses-poison")


async def checks(agents: Agents, gateways: Gateways) -> list[Check]:
    """Call each service once, then check each agent."""
    agents_in = {group[0]: project_of(group[0]) for group in by_project(agents.agents)} or {"none": DEFAULT_PROJECT}
    repository = next((spec.repository for spec in agents.agents.values()), "none")
    values = (value for spec in agents.agents.values() for value in spec.env.values())
    secret = next((value.secret for value in values if isinstance(value, SecretRef)), "")
    results = [
        *[await _foundry(target, project, gateways) for target, project in agents_in.items()],
        await _call("your access to the state store", lambda: gateways.state_store.get_release(next(iter(agents_in)))),
        await _queue(gateways),
        await _call("your access to the registry", lambda: gateways.registry.recent_tags(repository, "")),
    ]
    results += [await _key_vault(secret, gateways)] if secret else []
    results += [await _poison_queue(queue, gateways) for queue in POISON_QUEUES]
    for name in sorted(agents.agents):
        results += await _agent(name, agents, gateways)
    return results + await secret_expiries.checks(agents, gateways)


async def _call(check: str, call: Callable[[], Awaitable[object]]) -> Check:
    try:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            await call()
    except GatewayError as error:
        detail, _, fix = explain(error).partition("\n")
        return failed(check, detail, fix)
    except TimeoutError:
        detail = f"no answer within {MAX_ANSWER_SECONDS:.0f} s"
        return failed(check, detail, "check that this machine can reach it: proxy, firewall")
    return ok(check, "works")


async def _foundry(target: str, project: str, gateways: Gateways) -> Check:
    where = "" if project == DEFAULT_PROJECT else f" in project {project}"
    return await _call(f"your access to Foundry{where}", lambda: gateways.foundry.get_agent(target))


async def _queue(gateways: Gateways) -> Check:
    """Check the queue. Commands only send, which no check can try; to read the count takes one role more."""
    check = "your access to the queues"
    try:
        await gateways.release_queue.count_messages("releases")
    except PermanentError as error:
        fix = "commands need only Storage Queue Data Message Sender on the queue releases: see the queue's roles"
        return unknown(check, explain(error).partition("\n")[0], fix)
    except GatewayError as error:
        detail, _, fix = explain(error).partition("\n")
        return failed(check, detail, fix)
    return ok(check, "works")


async def _key_vault(secret: str, gateways: Gateways) -> Check:
    """Check Key Vault; only the app needs to read secrets, so a refusal is not a fault."""
    check = "your access to Key Vault"
    try:
        found = await read_secret(gateways.key_vault, secret, None)
    except GatewayError as error:
        detail = explain(error).partition("\n")[0]
        return unknown(check, detail, "only the app needs to read secrets: see the checks of its identity")
    if not isinstance(found, str):
        return ok(check, "works")
    detail = f"{secret} is {found} for you"
    return ok(check, detail) if found == "forbidden" else failed(check, detail, f"check the secret {secret}")


async def _poison_queue(queue: str, gateways: Gateways) -> Check:
    check = f"poison queue {queue}"
    try:
        count = await gateways.release_queue.count_messages(queue)
    except GatewayError as error:
        return unknown(check, explain(error).partition("\n")[0])
    if not count:
        return ok(check, "empty")
    return failed(check, f"{count} messages that no function takes", "do what the page of POISON_QUEUE_STUCK says")


async def _agent(name: str, agents: Agents, gateways: Gateways) -> list[Check]:
    try:
        versions = await gateways.foundry.list_versions(name)
        push = (await gateways.state_store.get_desired(name)).push
        image = await gateways.registry.inspect(push.repository, push.digest) if push else None
    except GatewayError as error:
        return [unknown(f"{name}: versions and image", explain(error).partition("\n")[0])]
    keep = agents.agents[name].keep
    count = f"{len(versions)} of {keep.limit}"
    result = ok(f"{name}: versions", count)
    if near_limit(len(versions), keep):
        fix = f"slipway prune {name}, or loosen keep in agents.yaml"
        result = failed(f"{name}: versions", f"{count}: near the limit", fix)
    return [result, _image(name, push, image)] if push else [result]


def _image(name: str, push: Push, image: ImageFacts | None) -> Check:
    check = f"{name}: image {push.tag}"
    if image is None:
        detail = f"the registry no longer has {push.digest[:19]}"
        return failed(check, detail, "push it again, and find out what purged it")
    if image.reason:
        return failed(check, f"{image.reason}: {image.detail}", "docker buildx build --platform linux/amd64 …")
    return ok(check, "runs on linux/amd64")
