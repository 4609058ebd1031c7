"""What ``slipway doctor`` says of trusted roots, and of a registry without the referrers API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sigstore.errors import TUFError
from sigstore.verify import Verifier

from cli.doctor.signatures import checks
from core.agents_file.loader import load_agents
from handlers.agent_states import AgentStates
from handlers.gateways.errors import TransientError
from handlers.gateways.signatures import SignatureVerifier
from local.signing import public_pem
from tests.support.app import App
from tests.support.signing import RELEASE_KEY
from tests.support.sigstore import Sigstore

FILES = {"release.pub": public_pem(RELEASE_KEY)}
BY_KEY, KEYLESS = "signed_by: [{key: release.pub}]", "signed_by: [{github: contoso/support}]"
OWN = f"{KEYLESS}, trusted_root: root.json"


def app_with(release: str, root: bytes = b"") -> App:
    text = f"agents: {{hello-agent: {{repository: agents/hello, release: {{{release}}}}}}}"
    return App(agents=load_agents(text.encode(), (FILES | {"root.json": root}).__getitem__))


async def found(app: App, load_root: Any = None) -> list[tuple[str, str, str]]:
    gateways = app.gateways
    if load_root:
        gateways.signatures.load_root = load_root
    return [
        (check.name, check.status, check.detail)
        for check in await checks(app.agents, AgentStates(gateways.state_store), gateways)
    ]


def root_that_ended(*services: str) -> bytes:
    root = json.loads(Sigstore().root)
    for service in services:
        (item,) = root[service]
        (item.get("publicKey") or item)["validFor"]["end"] = "2026-01-02T03:04:05Z"
    return json.dumps(root).encode()


async def test_without_a_rule_nothing_is_checked() -> None:
    assert await found(App()) == []


async def test_a_key_needs_no_root_and_an_image_is_needed_to_ask_the_registry() -> None:
    app = app_with(BY_KEY)
    assert await found(app) == []
    await app.pushed("v1", "a")
    assert await found(app) == [("referrers of agents/hello", "ok", "the registry lists them")]


async def test_a_registry_without_the_api_and_one_without_an_answer_are_unknown() -> None:
    app = app_with(BY_KEY)
    await app.pushed("v1", "a")
    app.registry.lists_referrers = False
    assert await found(app) == [("referrers of agents/hello", "unknown", "the registry does not list them")]
    app.registry.error = TransientError("registry", "503", "list the referrers")
    ((_, status, detail),) = await found(app)
    assert (status, "list the referrers" in detail) == ("unknown", True)


async def test_a_root_of_ones_own_that_is_current_is_ok() -> None:
    assert await found(app_with(OWN, Sigstore().root)) == [("trusted root root.json", "ok", "readable, and current")]


@pytest.mark.parametrize(
    ("service", "kind"), [("certificateAuthorities", "certificate authorities"), ("tlogs", "transparency logs")]
)
async def test_a_root_whose_services_have_all_ended_is_old(service: str, kind: str) -> None:
    detail = f"all its {kind} ended, the last on 2026-01-02"
    assert await found(app_with(OWN, root_that_ended(service))) == [("trusted root root.json", "failed", detail)]


async def test_a_root_with_one_current_service_is_not_old() -> None:
    root = json.loads(root_that_ended("tlogs"))
    root["tlogs"] += json.loads(Sigstore().root)["tlogs"]
    ((_, status, _),) = await found(app_with(OWN, json.dumps(root).encode()))
    assert status == "ok"


async def test_a_root_that_cannot_be_read_has_failed() -> None:
    nonsense = json.dumps(json.loads(Sigstore().root) | {"certificateAuthorities": "x"}).encode()
    ((name, status, detail),) = await found(app_with(OWN, nonsense))
    assert (name, status) == ("trusted root root.json", "failed")
    assert detail.startswith("the trusted root cannot be read")


async def test_the_root_of_the_public_sigstore_is_read_once_and_its_absence_has_failed() -> None:
    def unreachable() -> Verifier:
        raise TUFError("Failed to refresh TUF metadata")

    ((name, status, detail),) = await found(app_with(KEYLESS), unreachable)
    assert (name, status) == ("trusted root of the public Sigstore", "failed")
    assert detail == "the trusted root cannot be read: Failed to refresh TUF metadata"
    roots = iter([Sigstore().verifier])
    verifier, release = SignatureVerifier(lambda: next(roots)), app_with(KEYLESS).agents.agents["hello-agent"].release
    verifier.read_root(release)
    verifier.read_root(release)
    assert next(roots, None) is None
