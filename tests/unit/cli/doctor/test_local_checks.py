"""What ``slipway doctor`` says of the sizes and the protocols in agents.yaml."""

from __future__ import annotations

import pytest

from cli.doctor.local_checks import check_agents
from core.agents_file.loader import load_agents

FILE = 'agents: {hello-agent: {repository: agents/hello, cpu: "%s", memory: 2Gi, protocols: {responses: "%s"}}}'


@pytest.mark.parametrize(
    ("cpu", "protocol", "expected"),
    [
        ("1", "2.0.0", {"size": "ok", "protocol responses": "ok"}),
        ("1", "1.0.0", {"size": "ok", "protocol responses": "failed"}),
        ("1", "9.0.0", {"size": "ok", "protocol responses": "unknown"}),
        ("2", "2.0.0", {"size": "failed", "protocol responses": "ok"}),
    ],
)
def test_a_size_and_a_protocol_that_foundry_refuses_are_failures(
    cpu: str, protocol: str, expected: dict[str, str]
) -> None:
    checks = check_agents(load_agents((FILE % (cpu, protocol)).encode()))
    prefix = "hello-agent: "
    found = {check.name.removeprefix(prefix): check.status for check in checks if check.name.startswith(prefix)}
    assert found == expected
