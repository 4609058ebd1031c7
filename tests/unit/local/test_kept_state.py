"""What `--keep` leaves to the next stack: every project and every vault, not those of the settings alone."""

from __future__ import annotations

from pathlib import Path

from local import kept_state
from local.foundry.server import Foundry
from local.kept_state import StandIns
from local.registry.server import Registry
from local.telemetry.server import Telemetry
from local.vault import SecretVersion, Vault

DEFINITION = {
    "kind": "hosted",
    "cpu": "1",
    "memory": "2Gi",
    "container_configuration": {"image": f"demo.azurecr.io/agents/hello@sha256:{'a' * 64}"},
}


def stand_ins() -> StandIns:
    return StandIns(Foundry(project_name="demo"), Registry("demo"), Vault(), Telemetry())


async def test_the_agents_of_every_project_and_the_secrets_of_every_vault_are_kept(tmp_path: Path) -> None:
    first, second = stand_ins(), stand_ins()
    for project in (first.foundry.project, first.foundry.other("eu").project):
        project.create("hello", DEFINITION, {"slipway.tag": "v1"}, None)
    first.foundry.other("eu").project.create("hello", {**DEFINITION, "cpu": "2", "memory": "4Gi"}, {}, None)
    for vault in ("", "contoso-eu"):
        await first.vault.put("api-key", SecretVersion(f"made-up {vault}"), vault)
    kept_state.save(tmp_path, first)
    saved = kept_state.take(tmp_path)
    assert saved is not None
    await kept_state.restore(saved, second)
    assert list(second.foundry.project.agents["hello"].versions) == ["1"]
    kept = second.foundry.other("eu").project.agents["hello"]
    assert (list(kept.versions), kept.last_number) == (["1", "2"], 2)
    assert {vault: second.vault.secrets_in(vault)["api-key"][0].value for vault in ("", "contoso-eu")} == {
        "": "made-up ",
        "contoso-eu": "made-up contoso-eu",
    }


async def test_the_state_of_an_older_stack_has_the_project_of_the_settings_alone(tmp_path: Path) -> None:
    first, second = stand_ins(), stand_ins()
    first.foundry.project.create("hello", DEFINITION, {}, None)
    kept_state.save(tmp_path, first)
    saved = kept_state.take(tmp_path)
    assert saved is not None
    await kept_state.restore({key: item for key, item in saved.items() if key not in ("projects", "vaults")}, second)
    assert (list(second.foundry.project.agents), second.foundry.others) == (["hello"], {})
