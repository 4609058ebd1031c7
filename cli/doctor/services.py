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


async def checks(agents: Agents, outside: Gateways) -> list[Check]:
    """Each service is asked once, as the command line asks it; then what is known of each agent."""
    first = next(iter(agents.agents), "none")
    repository = next((rule.repository for rule in agents.agents.values()), "none")
    secret = next(
        (v.secret for rule in agents.agents.values() for v in rule.env.values() if isinstance(v, SecretRef)), ""
    )
    told = [
        await _asked("you at Foundry", lambda: outside.foundry.agent(first)),
        await _asked("you at the ledger", lambda: outside.state_store.record(first)),
        await _asked("you at the queues", lambda: outside.release_queue.depth("releases")),
        await _asked("you at the registry", lambda: outside.registry.tags(repository)),
    ]
    told += [await _vault(secret, outside)] if secret else []
    told += [await _waiting(name, outside) for name in POISON]
    for name in sorted(agents.agents):
        told += await _agent(name, agents, outside)
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


async def _vault(secret: str, outside: Gateways) -> Check:
    """A person need not read secrets: only the app must."""
    what = "you at Key Vault"
    try:
        found = await outside.key_vault.read(secret, None)
    except GatewayError as error:
        return unclear(what, sentence(error).partition("\n")[0], "only the app must read secrets: see its identity")
    told = "answers" if not isinstance(found, str) else f"{secret} is {found} for you"
    return ok(what, told) if told == "answers" or found == "forbidden" else wrong(what, told, f"see secret {secret}")


async def _waiting(queue: str, outside: Gateways) -> Check:
    what = f"poison queue {queue}"
    try:
        depth = await outside.release_queue.depth(queue)
    except GatewayError as error:
        return unclear(what, sentence(error).partition("\n")[0])
    if not depth:
        return ok(what, "empty")
    return wrong(what, f"{depth} messages", "slipway replay --poisoned-since 7d --dry-run, once their cause is mended")


async def _agent(name: str, agents: Agents, outside: Gateways) -> list[Check]:
    try:
        versions = await outside.foundry.versions(name)
        wanted = await outside.state_store.wanted(name)
        push = wanted.push
        facts = await outside.registry.facts(push.repository, push.digest) if push else None
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
