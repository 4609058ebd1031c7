"""``slipway adopt``: the entry that it prints."""

from __future__ import annotations

from cli.commands.adopt import agents_yaml_entry
from core.agents_file.loader import load_agents


def test_the_entry_has_no_value_of_a_variable() -> None:
    definition = {
        "cpu": "0.5",
        "memory": "1Gi",
        "protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
        "environment_variables": {"A": "${{connections.crm.credentials.key}}", "B": "canary", "FOUNDRY_X": "1"},
    }
    entry = agents_yaml_entry("stray-agent", "agents/stray", definition)
    assert "canary" not in entry
    spec = load_agents(f"agents:\n{entry}".encode()).agents["stray-agent"]
    assert (spec.cpu, spec.memory, set(spec.env)) == ("0.5", "1Gi", {"A", "B"})
