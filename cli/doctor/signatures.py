"""Checks what ``release.signed_by`` needs: trusted roots that are current, and a registry that lists referrers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from cli.doctor.result import MAX_ANSWER_SECONDS, Check, failed, late, ok, unknown, unread
from core.agents_file.signers import KeySigner
from core.agents_file.spec import Agents, AgentSpec
from core.json_map import as_map, as_maps
from handlers.agent_states import AgentStates
from handlers.concurrency import gather_all
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.gateways.signatures import TrustRootError

PUBLIC = "let this machine and the app reach https://tuf-repo-cdn.sigstore.dev; meanwhile SIGNATURE_UNKNOWN waits"
TAGGED = "sign with a client that also writes the tag sha256-…, such as cosign 3 or oras; no other signature is found"


async def checks(agents: Agents, states: AgentStates, gateways: Gateways) -> list[Check]:
    """One check for each trusted root and each repository; none where no rule asks for signatures."""
    specs = [spec for spec in agents.agents.values() if spec.release.signed_by]
    keyless = [spec for spec in specs if any(not isinstance(item, KeySigner) for item in spec.release.signed_by)]
    roots = {spec.release.trusted_root: spec for spec in keyless}
    repositories = {spec.repository: spec for spec in specs}
    found = await gather_all([_root(spec, gateways) for spec in roots.values()])
    listed = await gather_all([_referrers(spec, states, gateways) for spec in repositories.values()])
    return [*found, *(check for check in listed if check is not None)]


async def _root(spec: AgentSpec, gateways: Gateways) -> Check:
    file = spec.release.trusted_root
    check = f"trusted root {file}" if file else "trusted root of the public Sigstore"
    fix = f"write the current root there: cosign trusted-root create … --out {file}" if file else PUBLIC
    try:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            await asyncio.to_thread(gateways.signatures.read_root, spec.release)
    except TrustRootError as error:
        return failed(check, str(error), fix)
    except TimeoutError:
        return late(check, fix)
    ended = next(_ended(spec.release.root, gateways.clock.now()), None) if file else None
    if ended is None:
        return ok(check, "readable, and current")
    return failed(check, f"all its {ended[0]} ended, the last on {ended[1]:%Y-%m-%d}", fix)


def _ended(root: bytes, now: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield the kinds of services of a root that have all ended: what is signed now cannot be verified with it."""
    content = as_map(json.loads(root))
    for key, name in (("certificateAuthorities", "certificate authorities"), ("tlogs", "transparency logs")):
        ends = [_end(item) for item in as_maps(content.get(key))]
        if ends and all(end is not None and end < now for end in ends):
            yield name, max(end for end in ends if end is not None)


def _end(service: Mapping[str, object]) -> datetime | None:
    """Return when an authority ended, or the key of a log."""
    text = as_map(as_map(service.get("publicKey", service)).get("validFor")).get("end")
    end = datetime.fromisoformat(text) if isinstance(text, str) else None
    return end.replace(tzinfo=UTC) if end and end.tzinfo is None else end


async def _referrers(spec: AgentSpec, states: AgentStates, gateways: Gateways) -> Check | None:
    """Check the registry with the image that should run; without one it cannot be asked."""
    check = f"referrers of {spec.repository}"
    try:
        push = (await states.get(spec.name)).desired.push
        if push is None:
            return None
        if await gateways.registry.has_referrers_api(push.repository, push.digest):
            return ok(check, "the registry lists them")
    except GatewayError as error:
        return unread(check, error)
    return unknown(check, "the registry does not list them", TAGGED)
