"""What this person meets at each service: sign-in, rights, and what waits there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from cli.doctor.checks import Check, ok, unclear, wrong
from cli.failing import sentence
from core.agents_file.spec import Agents, SecretRef
from core.image_manifest import ImageFacts
from core.prune.retention import near_limit
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways

WITHIN = 20.0
POISON = ("events-poison", "releases-poison")


async def checks(agents: Agents, gateways: Gateways) -> list[Check]:
    """Each service is asked once, as the command line asks it; then what is known of each agent."""
    first = next(iter(agents.agents), "none")
    repository = next((spec.repository for spec in agents.agents.values()), "none")
    secret = next(
        (v.secret for spec in agents.agents.values() for v in spec.env.values() if isinstance(v, SecretRef)), ""
    )
    told = [
        await _asked("you at Foundry", lambda: gateways.foundry.get_agent(first)),
        await _asked("you at the ledger", lambda: gateways.state_store.get_release(first)),
        await _asked("you at the queues", lambda: gateways.release_queue.count_messages("releases")),
        await _asked("you at the registry", lambda: gateways.registry.list_tags(repository)),
    ]
    told += [await _vault(secret, gateways)] if secret else []
    told += [await _waiting(name, gateways) for name in POISON]
    for name in sorted(agents.agents):
        told += await _agent(name, agents, gateways)
    return told


async def _asked(what: str, ask: Callable[[], Awaitable[object]]) -> Check:
    try:
        async with asyncio.timeout(WITHIN):
            await ask()
    except GatewayError as error:
        detail, _, mend = sentence(error).partition("\n")
        return wrong(what, detail, mend)
    except TimeoutError:
        return wrong(what, f"no answer within {WITHIN:.0f} s", "see whether this machine reaches it: proxy, firewall")
    return ok(what, "answers")


async def _vault(secret: str, gateways: Gateways) -> Check:
    """A person need not read secrets: only the app must."""
    what = "you at Key Vault"
    try:
        found = await gateways.key_vault.get_secret(secret, None)
    except GatewayError as error:
        return unclear(what, sentence(error).partition("\n")[0], "only the app must read secrets: see its identity")
    told = "answers" if not isinstance(found, str) else f"{secret} is {found} for you"
    return ok(what, told) if told == "answers" or found == "forbidden" else wrong(what, told, f"see secret {secret}")


async def _waiting(queue: str, gateways: Gateways) -> Check:
    what = f"poison queue {queue}"
    try:
        depth = await gateways.release_queue.count_messages(queue)
    except GatewayError as error:
        return unclear(what, sentence(error).partition("\n")[0])
    if not depth:
        return ok(what, "empty")
    return wrong(what, f"{depth} messages", "slipway replay --poisoned-since 7d --dry-run, once their cause is mended")


async def _agent(name: str, agents: Agents, gateways: Gateways) -> list[Check]:
    try:
        versions = await gateways.foundry.list_versions(name)
        desired = await gateways.state_store.get_desired(name)
        push = desired.push
        facts = await gateways.registry.inspect(push.repository, push.digest) if push else None
    except GatewayError as error:
        return [unclear(f"{name}: versions and image", sentence(error).partition("\n")[0])]
    keep = agents.agents[name].keep
    count = f"{len(versions)} of {keep.limit}"
    told = [ok(f"{name}: versions", count)]
    if near_limit(len(versions), keep):
        told = [wrong(f"{name}: versions", f"{count}: crowded", f"slipway prune {name}, or loosen keep in agents.yaml")]
    return [*told, _image(name, push, facts)] if push else told


def _image(name: str, push: Any, facts: ImageFacts | None) -> Check:
    what = f"{name}: image {push.tag}"
    if facts is None:
        return wrong(what, f"the registry has no {push.digest[:19]} any more", "push it again; see what purges")
    if facts.reason:
        return wrong(what, f"{facts.reason}: {facts.detail}", "docker buildx build --platform linux/amd64 …")
    return ok(what, "runs on linux/amd64")
