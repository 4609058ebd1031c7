"""Histories of an agent whose secrets have tags, start dates and lags, and whose rotation events may never come.

In half of them no event is lost, no secret is unusable, and the daily check does not run: it is not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from core.agents_file.spec import AgentSpec
from core.events import SecretChanged
from core.model import Definition, Secret, SecretUnavailable, SecretVersion
from core.release.actions import Action
from core.release.inputs import DecisionInput
from core.state.release import ReleaseState
from handlers.events.secret_changed import handle_secret_change
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault, SecretRecord
from handlers.gateways.interfaces import Gateways, KeyVault, StateStore
from handlers.telemetry.decision_log import DecisionLog
from tests.simulation import actors
from tests.simulation.faults import PROCESS, Log
from tests.simulation.liveness_invariants import check_end
from tests.simulation.mutants import Override
from tests.simulation.run import History, Mutant, Rules
from tests.simulation.safety_invariants import MAX_SKEW
from tests.simulation.scene import AGENT, SECRET
from tests.simulation.seeds import play
from tests.simulation.virtual_time import VirtualClock

TAGGED, VARIABLE = "tagged-key", "API_KEY"
TAGS = {"agent": AGENT, "env": VARIABLE}
LAGS = (0.0, 0.0, 5.0, 40.0, 400.0)
"""Seconds until a read gives a new version."""
STARTS = (0.0, 0.0, 60.0, 900.0)
"""Seconds until a new version starts."""


class DatedVault(InMemoryKeyVault):
    """A vault whose newest value is that of the newest version that is valid now."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self.deleted: dict[str, list[SecretRecord]] = {}

    def value(self, name: str, version: str | None = None) -> str:
        """The value of a version, also of one that was deleted since a release read it, or of the newest one."""
        records = self.versions.get(name) or self.deleted[name]
        valid = (item for item in reversed(records) if version or self._is_valid(item.secret))
        return next(item.secret.value.reveal() for item in valid if version in (None, item.secret.version))

    def _is_valid(self, secret: Secret) -> bool:
        return secret.not_before is None or secret.not_before <= self._clock.now()


class SecretsHistory(History):
    """A history with a second secret, whose tags give a variable."""

    def __init__(self, seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> None:
        super().__init__(seed, harsh=harsh, log=log, mutant=mutant)
        self.is_kind = self.random.random() < 0.5
        """Whether no event is lost and no secret is unusable, so that no daily check is needed."""
        self.had_variable = False
        """Whether a version with the variable was live."""
        self.variable_removed = False
        """Whether a person removed the tags, or ``env_from_vault``."""
        assert isinstance(self.key_vault, DatedVault)
        self.deleted = self.key_vault.deleted
        self.scene = replace(self.scene, env_from_vault=True)
        self.oracle.spec = self.agents.agents[AGENT]
        self.oracle.check_definition = self.check_definition

    def make_vault(self) -> InMemoryKeyVault:
        return DatedVault(self.clock)

    def expected_variables(self) -> Mapping[str, str]:
        expected, live = super().expected_variables(), self.foundry.agents[AGENT].routing.pinned
        has_variable = self.had_variable or VARIABLE in self.foundry.environment(AGENT, live or "")
        is_kept = has_variable and not self.variable_removed
        return {**expected, VARIABLE: self.key_vault.value(TAGGED)} if is_kept else expected

    def new_day(self) -> None:
        if self.is_kind:
            self.state_store.markers["secrets-check"] = self.clock.now().isoformat()
        else:
            super().new_day()

    def check_definition(self, definition: Definition) -> None:
        """Fail where a variable is lost that nobody removed, or a version is used before its start date."""
        oracle, good = self.oracle, self.oracle.release.last_good
        agent = self.foundry.agents.get(AGENT)
        live = agent.definitions.get(good.version) if agent and good else None
        had_variable = live is not None and VARIABLE in live.environment
        self.had_variable = self.had_variable or had_variable
        if had_variable and VARIABLE not in definition.environment and not self.variable_removed:
            oracle.fail(f"{VARIABLE} is lost, though nobody removed it")
        for name, version in oracle.release.secrets.items():
            records = self.key_vault.versions.get(name) or self.deleted.get(name, [])
            starts_at = next(item.secret.not_before for item in records if item.secret.version == version)
            if starts_at and starts_at > self.clock.now() + MAX_SKEW:
                oracle.fail(f"version {version} of {name} is used before its start date")


async def prepare(history: History) -> None:
    """As other histories, with the second secret."""
    history.key_vault.put(TAGGED, "tagged-0", tags=TAGS)
    await actors.prepare(history)


async def rotate(history: History, number: int) -> None:
    """A new version of one of the secrets, often without tags, now and then one that starts later."""
    assert isinstance(history, SecretsHistory)
    random, vault = history.random, history.key_vault
    name = random.choice([SECRET, TAGGED])
    if name in history.deleted or (history.is_kind and history.oracle.desired.push is None):
        return  # before a push is desired an event is not remembered: the daily check finds what lags
    starts_in, lag = random.choice(STARTS), random.choice(LAGS)
    starts_at = history.clock.now() + timedelta(seconds=starts_in) if starts_in else None
    tags = TAGS if name == TAGGED and not history.variable_removed and random.random() < 0.4 else None
    secret = vault.put(name, f"{name}-{number}", not_before=starts_at, tags=tags)
    history.log(f"{name}: version {secret.version[-2:]}, tags {bool(tags)}, starts in {starts_in}, lags {lag}")
    if lag:
        vault.hidden[name] = vault.hidden.get(name, 0) + 1
        history.spawn(_show(history, name, lag))
    if history.is_kind or random.random() < 0.6:
        changed = SecretChanged("vault", name, secret.version, f"secret-{number}", at=history.clock.now())
        history.spawn(history.until_done("secret_changed", lambda: _deliver(history, changed)))


async def _deliver(history: History, changed: SecretChanged) -> None:
    decisions = DecisionLog(history.gateways.journal, history.clock, {})
    await handle_secret_change(changed, history.agents, decisions, history.gateways)


async def _show(history: History, name: str, lag: float) -> None:
    await asyncio.sleep(lag)
    history.key_vault.hidden[name] -= 1


async def remove_variable(history: History, number: int) -> None:
    """A person removes the tags of the newest version, or ``env_from_vault``."""
    assert isinstance(history, SecretsHistory)
    if TAGGED in history.deleted:
        return
    history.variable_removed = True
    if history.random.random() < 0.5:
        history.deploy(replace(history.scene, env_from_vault=False))
    else:
        history.key_vault.versions[TAGGED][-1].tags = {}
    history.log(f"a person removes {VARIABLE}")


async def make_unusable(history: History, number: int) -> None:
    """A person deletes a secret, or disables its newest version; all is mended at the end, without an event."""
    assert isinstance(history, SecretsHistory)
    name, vault = history.random.choice([SECRET, TAGGED]), history.key_vault
    if history.is_kind or name in history.deleted:
        return
    if history.random.random() < 0.5:
        history.deleted[name] = vault.versions.pop(name)
    else:
        vault.versions[name][-1].enabled = False
    history.log(f"a person deletes or disables {name}")


async def add_disabled_twin(history: History, number: int) -> None:
    """A second secret, which is disabled, has the tags of the variable."""
    history.key_vault.put("twin-key", "twin", tags=TAGS, enabled=False)


async def finish(history: History) -> None:
    """Every secret can be used again, and people end what they began."""
    assert isinstance(history, SecretsHistory)
    for name, records in history.deleted.items():
        history.key_vault.versions[name] = [*records, *history.key_vault.versions.get(name, [])]
    history.deleted.clear()
    for name in (SECRET, TAGGED):
        for record in history.key_vault.versions[name]:
            record.enabled = True
    await actors.finish(history)


ACTORS = (
    (actors.push, 6),
    (rotate, 12),
    (make_unusable, 3),
    (add_disabled_twin, 1),
    (remove_variable, 0.5),
    (actors.command, 1),
    (actors.route, 0.3),
    (actors.delete_agent, 0.2),
)
"""Each with its weight."""


def simulate(seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> SecretsHistory:
    """Run a history; raise InvariantError where an invariant does not hold."""
    history = SecretsHistory(seed, harsh=harsh, log=log, mutant=mutant)
    return play(history, _run)


async def _run(history: SecretsHistory) -> None:
    await history.run(prepare, ACTORS, finish)
    check_end(history)


Methods = Callable[[Any], dict[str, Any]]


def _vault(methods: Methods) -> Mutant:
    def mutate(gateways: Gateways) -> Gateways:
        vault: Any = gateways.key_vault
        return replace(gateways, key_vault=cast("KeyVault", Override(vault, **methods(vault))))

    return Mutant(mutate)


def _forgets_tags(gateways: Gateways) -> Gateways:
    """What serves does not remember which secret gave which variable."""

    async def acquire_lease(agent: str) -> Any:
        lease: Any = await gateways.state_store.acquire_lease(agent)

        async def write(release: ReleaseState) -> bool:
            good = replace(release.last_good, tagged={}) if release.last_good else None
            written: bool = await lease.write(replace(release, tagged={}, last_good=good))
            return written

        return lease and Override(lease, write=write)

    store: Any = Override(gateways.state_store, acquire_lease=acquire_lease)
    return replace(gateways, state_store=cast("StateStore", store))


def _ignores_start_dates(vault: Any) -> dict[str, Any]:
    async def get_secret(name: str, version: str | None) -> Secret | SecretUnavailable:
        found: Secret | SecretUnavailable = await vault.get_secret(name, version)
        return replace(found, not_before=None) if isinstance(found, Secret) else found

    return {"get_secret": get_secret}


def _lists_nothing_daily(vault: Any) -> dict[str, Any]:
    async def list_secret_versions(name: str) -> list[SecretVersion]:
        listed: list[SecretVersion] = await vault.list_secret_versions(name)
        return [] if PROCESS.get().name == "resume" else listed

    return {"list_secret_versions": list_secret_versions}


def _without(name: str) -> Mutant:
    def never(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
        return None

    def mutate(rules: Rules) -> Rules:
        assert name in [rule.__name__ for rule in rules]
        return tuple(never if rule.__name__ == name else rule for rule in rules)

    return Mutant(rules=mutate)


SECRET_MUTANTS = {
    "lost tags lose the variable": Mutant(_forgets_tags),
    "a version is used before its start date": _vault(_ignores_start_dates),
    "a start date passes without a release": _without("secret_starts"),
    "a lagging version is not waited for": _without("secret_lags"),
    "a lost rotation is never found": _vault(_lists_nothing_daily),
}
"""By the missing safeguard."""
