"""A project with a vault of its own: its targets read there, and its rotations reach no other target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.model import Secret
from handlers.agents_file import load_agents_file
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.project_vaults import ProjectVaults
from handlers.resume_releases.run import resume_releases
from handlers.settings import ConfigError, Settings
from tests.simulation.scene import ENVIRONMENT
from tests.support.builders import secret_event
from tests.support.projects_app import EU_VAULT, WITH_VAULT, ProjectsApp, ProjectVault

AGENTS = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    env_from_vault: true
    stages: [{projects: [default, eu, us], release: {debounce: 0s}}]
"""
TARGETS = ("hello-agent", "hello-agent@eu", "hello-agent@us")
TAGS = {"agent": "hello-agent", "env": "TAGGED"}
DAY = 86_400.0


async def live_app() -> ProjectsApp:
    app = ProjectsApp(AGENTS, WITH_VAULT)
    for number in range(3):  # so that no version's id is that of the other vault
        app.vault.put("hello-key", f"canary-of-eu-{number}")
    app.vault.put("tagged-key", "canary-tagged", tags=TAGS)
    await app.pushed()
    assert [await app.released(target) for target in TARGETS] == ["LIVE"] * 3
    return app


async def rotation(app: ProjectsApp, secret: Secret, vault: str) -> list[str | None]:
    """Send the event, release every target; returns what serves in each project."""
    await app.clock.sleep(3600)
    await app.event(secret_event(data={"Id": f"{vault}/secrets/{secret.name}/{secret.version}"}))
    for target in TARGETS:
        await app.released(target)
    return [await app.live_in(project) for project in app.foundries]


async def values(app: ProjectsApp, variable: str = "KEY") -> list[str | None]:
    return [
        foundry.environment("hello-agent", await app.live_in(project) or "").get(variable)
        for project, foundry in app.foundries.items()
    ]


async def test_each_target_reads_the_secrets_of_its_vault() -> None:
    app = await live_app()
    assert await values(app) == ["canary-3c2d", "canary-of-eu-2", "canary-3c2d"]
    assert await values(app, "TAGGED") == [None, "canary-tagged", None]


@pytest.mark.parametrize(("name", "variable", "tags"), [("hello-key", "KEY", {}), ("tagged-key", "TAGGED", TAGS)])
async def test_a_rotation_reaches_only_the_targets_of_its_vault(name: str, variable: str, tags: dict[str, str]) -> None:
    app = await live_app()
    secret = app.vault.put(name, "canary-new", tags=tags)
    assert await rotation(app, secret, EU_VAULT) == ["1", "2", "1"]
    assert (await values(app, variable))[1] == "canary-new"


async def test_a_rotation_in_the_vault_of_the_settings_leaves_the_others_alone() -> None:
    app = await live_app()
    secret = app.key_vault.put("hello-key", "canary-new")
    assert await rotation(app, secret, "https://demo-vault.vault.azure.net") == ["2", "1", "2"]
    assert await values(app) == ["canary-new", "canary-of-eu-2", "canary-new"]


async def test_a_rotation_of_a_secret_that_no_target_of_its_vault_uses_is_recorded() -> None:
    app = await live_app()
    assert await rotation(app, app.vault.put("other-key", "canary-other"), EU_VAULT) == ["1", "1", "1"]
    assert app.journal.reasons()[-4:].count("SECRET_NOT_USED") == 1


async def test_the_daily_run_finds_what_each_vault_has() -> None:
    app = await live_app()
    app.vault.put("hello-key", "canary-missed", expires_on=app.clock.now() + timedelta(days=7))
    await app.clock.sleep(DAY)
    await resume_releases(app.agents, app.gateways)
    found = [line for line in app.journal.lines if line["reason"] in ("MISSED_ROTATION_FOUND", "SECRET_EXPIRES_SOON")]
    assert [(line["reason"], line.get("agent")) for line in found] == [
        ("MISSED_ROTATION_FOUND", "hello-agent@eu"),
        ("SECRET_EXPIRES_SOON", None),
    ]
    assert str(found[1]["detail"]).endswith("used by hello-agent@eu")


@pytest.mark.parametrize(
    "error", [TransientError("Key Vault", "down", "503"), PermanentError("Key Vault", "FORBIDDEN", "")]
)
async def test_a_vault_that_fails_stops_no_target_of_another(error: Exception) -> None:
    app = await live_app()
    app.vault.down = error
    await app.clock.sleep(3600)
    await app.pushed("v2", "b")
    for target in TARGETS:
        await app.released(target)
    assert [await app.live_in(project) for project in app.foundries] == ["2", "1", "2"]
    app.vault.down = None
    await app.pushed("v3", "c")
    await app.released("hello-agent@eu")
    assert await app.images_in("eu") == ["a", "c"]


async def test_projects_that_name_a_vault_share_its_client() -> None:
    made, addresses = list[str](), {"eu": EU_VAULT, "us": EU_VAULT}

    def connect(address: str) -> ProjectVault:
        made.append(address)
        return other

    default, other = ProjectVault(), ProjectVault()
    vaults = ProjectVaults(default, lambda: addresses, connect)
    assert [vaults.of(project) for project in ("eu", "us", "default", "asia")] == [other, other, default, default]
    assert made == [EU_VAULT]
    await vaults.close()
    assert (default.closed, other.closed) == (True, True)


def test_the_vault_of_the_settings_is_there_while_agents_yaml_is_broken() -> None:
    def addresses() -> dict[str, str]:
        raise ConfigError("agents.yaml: nonsense")

    default = ProjectVault()
    assert ProjectVaults(default, addresses, lambda _: ProjectVault()).of("default") is default


def test_a_project_may_name_the_vault_of_the_settings(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file, settings = tmp_path / "agents.yaml", Settings.from_env(ENVIRONMENT)
    file.write_text(WITH_VAULT.replace(EU_VAULT, f"{settings.key_vault_url}/") + AGENTS)
    agents = load_agents_file(replace(settings, agents_file=str(file)))
    assert {agents.vault_of(target) for target in TARGETS} == {""}
