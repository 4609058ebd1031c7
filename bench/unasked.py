"""What a release calls for features that its agent does not use: probes, evaluation, windows, logs of containers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from core.agents_file.loader import load_agents
from handlers.events.event_queued import handle_event
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.release_agent.reconcile import handle_message
from handlers.settings import Settings

AGENTS = b"agents: {hello-agent: {repository: agents/hello, release: {debounce: 0s}}}"
SETTINGS = {
    "FOUNDRY_PROJECT_ENDPOINT": "https://local/api/projects/demo",
    "KEY_VAULT_URL": "https://vault.local",
    "REGISTRY_NAME": "demo",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    "PRUNE_SCHEDULE": "0 0 3 * * *",
    "RESUME_SCHEDULE": "0 */5 * * * *",
}
DIGEST = f"sha256:{'a' * 64}"
TOPIC = "/subscriptions/local/resourceGroups/local/providers/Microsoft.ContainerRegistry/registries/demo"
NEEDED = frozenset({"get_agent", "get_version", "list_versions", "create_version", "set_routing"})
"""The calls of a release that nothing is asked of."""


def rows(_: Effort) -> Iterator[Row]:
    """One row: the calls that no key of agents.yaml asks for."""
    calls = asyncio.run(release_calls())
    yield Row(
        name="calls nobody asked for",
        description="calls to Foundry beside those that every release makes, and reads of signatures, of an agent "
        "without keys below `release`",
        unit="calls",
        value=sum(count for name, count in calls.items() if name not in NEEDED),
        target=0,
        bound=0,
        bound_description="probes, evaluations and logs of containers are asked for by keys",
        method="A push and its release on gateways in memory, which count the calls",
        details=dict(sorted(calls.items())),
    )


async def release_calls() -> Counter[str]:
    """How often a release calls each method of Foundry, and reads signatures."""
    clock, counted = ManualClock(), Counter[str]()
    registry = InMemoryRegistry()
    gateways = Gateways(
        foundry=CountedFoundry(InMemoryFoundry(clock), counted),
        key_vault=InMemoryKeyVault(),
        state_store=InMemoryStateStore(clock),
        journal=InMemoryJournal(),
        release_queue=InMemoryReleaseQueue(clock),
        clock=clock,
        registry=registry,
    )
    agents, settings = load_agents(AGENTS), Settings.from_env(SETTINGS)
    registry.push("agents/hello", "v1", DIGEST, clock.now())
    event = {
        "id": "event-1",
        "topic": TOPIC,
        "subject": "agents/hello:v1",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": clock.now().isoformat(),
        "data": {"action": "push", "target": {"repository": "agents/hello", "tag": "v1", "digest": DIGEST}},
        "dataVersion": "1.0",
    }
    await handle_event(json.dumps(event), agents, settings, gateways)
    await handle_message(json.dumps({"target": "hello-agent", "traceparent": None}), agents, settings, gateways)
    reason = (await gateways.state_store.get_release("hello-agent")).reason
    if reason != "LIVE":
        raise NotMeasuredError(f"the release ended with {reason}")
    return counted + Counter(list_signatures=registry.signatures_asked)


class CountedFoundry:
    """Counts the calls of each method."""

    def __init__(self, foundry: InMemoryFoundry, counted: Counter[str]) -> None:
        self._foundry, self._counted = foundry, counted

    def __getattr__(self, name: str) -> Any:
        self._counted[name] += 1
        return getattr(self._foundry, name)
