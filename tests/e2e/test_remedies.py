"""The remedy of each reason, executed on the stack: the situation is provoked, its cause removed, the command typed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.reasons import Reason
from local.signing import new_key, sign_image, stack_key
from local.stack_client import stack
from tests.e2e.night import Night
from tests.e2e.remedies import SITUATIONS

pytestmark = pytest.mark.timeout(1500)

REASONS = {reason.lower().replace("_", "-"): reason for reason in SITUATIONS}
NAMED = {name: SITUATIONS[reason] for name, reason in REASONS.items()}
QUICK = {"seconds": 0.2, "fail": {}, "answer": {}}


def agents_yaml(*, mended: bool) -> str:
    lines = (
        f"  {name}-agent: {{repository: night/{name}, {(mended and situation.mended) or situation.agent}}}\n"
        for name, situation in NAMED.items()
    )
    return "agents:\n" + "".join(lines)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("stack")
    stack_key(folder)  # agents.yaml names its public key
    (folder / "agents.yaml").write_text(agents_yaml(mended=False))
    (folder / "good.yaml").write_text(agents_yaml(mended=True))
    (folder / "rows.jsonl").write_text('{"ask": "ping", "expect": "pong"}\n')
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", QUICK)
        yield Night(up, folder)


def test_the_remedy_of_each_reason_ends_its_situation(night: Night) -> None:
    put_live(night)
    break_everything(night)
    for name, situation in NAMED.items():
        if situation.tag:
            night.push(name, situation.tag)
    sign(night, "signature-invalid", new_key())
    for name in ("reported", "ignored"):
        night.set_secret(f"{name}-key", "the rotated value")
    night.wait_for_all(REASONS)
    before = {name: night.counts()[name, situation.end] for name, situation in NAMED.items()}
    mend_everything(night)
    for name, reason in REASONS.items():
        image = f"night/{name}:{NAMED[name].tag}"
        night.slipway(Reason[reason].remedy_for(f"{name}-agent", image=image, version="1"))
    night.wait_for_all({name: situation.end for name, situation in NAMED.items()}, more_than=before)


def put_live(night: Night) -> None:
    """Release what is live before each situation begins, one image after the other."""
    for number in range(max(len(situation.after) for situation in NAMED.values())):
        pushed = {name: item.after[number] for name, item in NAMED.items() if len(item.after) > number}
        before = {name: night.counts()[name, "LIVE"] for name in pushed}
        for name, tag in pushed.items():
            night.push(name, tag)
        night.wait_for_all(dict.fromkeys(pushed, "LIVE"), more_than=before)


def break_everything(night: Night) -> None:
    """Bring about what each situation needs beside its push."""
    failing = {name: situation.fails_with for name, situation in NAMED.items() if situation.fails_with}
    provisioning = {
        "seconds": 15,  # longer than TIMED_OUT allows, also where a slow machine reads the version seconds later
        "fail": {f"night/{name}@": {"code": code, "message": "no"} for name, code in failing.items()},
        "answer": {f"night/{name}@.* {item.tag}$": item.answer for name, item in NAMED.items() if item.answer},
    }
    night.running.put("foundry", "/_local/provisioning", provisioning)
    faults = [refusal(name, *situation.refuse) for name, situation in NAMED.items() if situation.refuse]
    night.running.put("foundry", "/_local/faults", faults)
    error = {"error": {"code": "Forbidden", "message": "no"}}
    forbidden = {"method": "GET", "path": "/secrets/forbidden-key", "status": 403, "body": error}
    night.running.put("vault", "/_local/faults", [forbidden])
    unreadable = {
        "method": "GET",
        "path": "/night%2Fimage-unreadable/manifests/",
        "status": 403,
        "body": {"errors": []},
    }
    night.running.put("registry_tls", "/_local/faults", [unreadable])
    night.set_secret("forbidden-key", "the value that nobody may read")
    night.set_secret("expired-key", "the value that has expired", expires_on=datetime(2026, 1, 1, tzinfo=UTC))
    for name, variable in TAGGED_SECRETS.items():
        agent = name.removesuffix("-2") + "-agent"
        night.set_secret(name, "the value of a tagged secret", tags={"agent": agent, "env": variable})
    with night.running.foundry() as project:
        project.agents.disable("agent-disabled-agent")


TAGGED_SECRETS = {"env-ambiguous": "KEY", "env-ambiguous-2": "KEY", "env-name-invalid": "9-LIVES", "env-clash": "KEY"}
"""Secrets that set variables of the agents that are named as they are."""


def refusal(name: str, method: str, path: str, status: int, code: str) -> dict[str, Any]:
    error = {"code": code, "message": "no"}
    path = f"/{name}-agent(-tools)?{path}([/?]|$)"
    return {"method": method, "path": path, "status": status, "body": {"error": error}}


def mend_everything(night: Night) -> None:
    """Remove each cause, as the help of its reason says."""
    night.agents.write_text(agents_yaml(mended=True))
    night.running.put("foundry", "/_local/provisioning", QUICK)
    for part in ("foundry", "vault", "registry_tls"):
        night.running.put(part, "/_local/faults", [])
    night.set_secret("expired-key", "the value that is valid")
    for name in TAGGED_SECRETS:
        if name != "env-ambiguous":
            night.set_secret(name, "the value of a secret without tags")
    with night.running.foundry() as project:
        project.agents.enable("agent-disabled-agent")
    for name in ("signature-missing", "signature-invalid"):
        sign(night, name, stack_key(night.folder))


def sign(night: Night, name: str, key: Any) -> None:
    digest = night.push(name, NAMED[name].tag)
    asyncio.run(sign_image(night.running.endpoints["registry"], f"night/{name}", digest, key))
