"""``slipway adopt``: the entry that it prints, and the first state that it writes."""

from __future__ import annotations

import json

from cli.commands.adopt import agents_yaml_entry, show_and_adopt
from core.agents_file.loader import load_agents
from core.model import Definition, Routing, SecretValue
from tests.support.app import App
from tests.support.cli_schemas import validated
from tests.unit.cli.support import DRY_RUN, YES, context_of

STRAY = "stray-agent"


def definition(server: str = "demo.azurecr.io") -> Definition:
    environment = {"A": "${{connections.crm.credentials.key}}", "B": "canary", "FOUNDRY_X": "1"}
    return Definition(
        image=f"{server}/agents/stray@sha256:{'c' * 64}",
        cpu="0.5",
        memory="1Gi",
        protocols=(("responses", "2.0.0"),),
        environment={name: SecretValue(value) for name, value in environment.items()},
    )


async def app_beside_a_stray_agent() -> App:
    app = App()
    created = await app.foundry.create_version(STRAY, definition(app.settings.registry_login_server), {})
    await app.foundry.set_routing(STRAY, Routing.to(created.number))
    app.clock.passed += 60
    return app


def test_the_entry_has_no_value_of_a_variable() -> None:
    entry = agents_yaml_entry(STRAY, "agents/stray", definition())
    assert "canary" not in entry
    spec = load_agents(f"agents:\n{entry}".encode()).agents[STRAY]
    assert (spec.cpu, spec.memory, set(spec.env)) == ("0.5", "1Gi", {"A", "B"})
    assert dict(spec.protocols) == {"responses": "2.0.0"}


async def test_a_dry_run_prints_the_entry_of_the_live_version_and_writes_nothing() -> None:
    app = await app_beside_a_stray_agent()
    result = await show_and_adopt(context_of(app), STRAY, None, DRY_RUN)
    data = validated("adopt", json.dumps(result.data))
    assert (data["version"], data["repository"], data["adopted"]) == ("1", "agents/stray", False)
    assert "env:" in data["agents_yaml"]
    assert "canary" not in result.text
    assert (await app.gateways.state_store.get_release(STRAY)).last_good is None


async def test_the_live_version_is_recorded_as_good() -> None:
    app = await app_beside_a_stray_agent()
    await show_and_adopt(context_of(app), STRAY, None, YES)
    good = (await app.gateways.state_store.get_release(STRAY)).last_good
    assert good is not None
    assert (good.version, good.push.repository) == ("1", "agents/stray")
