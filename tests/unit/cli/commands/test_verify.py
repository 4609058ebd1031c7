"""``slipway verify``: each signature of an image with its verdict, and an exit code for pipelines."""

from __future__ import annotations

import pytest

from cli.commands.verify import verify_image
from cli.exit_codes import BAD_RESULT, DONE, NOTHING_TO_DO, SERVICE_ERROR, UsageError
from core.agents_file.loader import load_agents
from core.signatures import SignatureBundle
from handlers.gateways.errors import TransientError
from local.signing import public_pem
from tests.support.app import REPOSITORY, App
from tests.support.signing import OTHER_KEY, RELEASE_KEY, found, signature_of
from tests.unit.cli.support import context_of

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
IMAGE = f"{REPOSITORY}:v1"
RULES = b"""
projects: {eu: {endpoint: "https://eu.example.com/api/projects/agents"}}
agents:
  hello-agent:
    repository: agents/hello
    release: {signed_by: [{key: keys/release.pub}]}
    stages: [{project: default}, {project: eu}]
  other-agent: {repository: agents/hello, release: {signed_by: [{key: keys/other.pub}]}}
  free-agent: {repository: agents/hello}
"""
KEYLESS = b"agents: {hello-agent: {repository: agents/hello, release: {trusted_root: root, signed_by: [%b]}}}"
ROOT = b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [{}]}'
FILES = {"keys/release.pub": public_pem(RELEASE_KEY), "keys/other.pub": public_pem(OTHER_KEY), "root": ROOT}


async def pushed(*signatures: SignatureBundle, agents: bytes = RULES) -> App:
    app = App(agents=load_agents(agents, FILES.__getitem__))
    await app.pushed("v1", "a")
    app.registry.signatures[DIGEST] = list(signatures)
    return app


async def test_it_shows_each_signature_for_each_rule_and_fails_unless_all_are_met() -> None:
    mine, theirs = signature_of(DIGEST), signature_of(OTHER)
    result = await verify_image(context_of(await pushed(theirs, mine)), IMAGE)
    assert result.exit_code == BAD_RESULT
    assert [(row["agent"], row["verdict"], row["signer"]) for row in result.data["agents"]] == [
        ("hello-agent", "verified", "key keys/release.pub"),
        ("other-agent", "invalid", None),
    ]
    assert result.data["digest"] == DIGEST
    assert [(item["digest"], item["verdict"]) for item in result.data["agents"][0]["signatures"]] == [
        (theirs.digest, "invalid"),
        (mine.digest, "verified"),
    ]
    lines = result.text.splitlines()
    assert lines[1].split(maxsplit=3)[1:] == [
        theirs.digest[:19],
        "invalid",
        "signs another digest, by key keys/release.pub",
    ]
    assert lines[-2:] == [
        "hello-agent: verified; signed_by names key keys/release.pub",
        "other-agent: invalid; signed_by names key keys/other.pub",
    ]


@pytest.mark.parametrize(
    "reference", [IMAGE, f"{REPOSITORY}@{DIGEST}", f"{IMAGE}@{DIGEST}", f"demo.azurecr.io/{IMAGE}"]
)
async def test_an_image_that_every_rule_accepts_exits_with_0(reference: str) -> None:
    app = await pushed(signature_of(DIGEST), signature_of(DIGEST, OTHER_KEY))
    assert (await verify_image(context_of(app), reference)).exit_code == DONE


async def test_an_image_without_a_signature_has_a_line_too() -> None:
    result = await verify_image(context_of(await pushed()), IMAGE)
    assert (result.exit_code, {row["verdict"] for row in result.data["agents"]}) == (BAD_RESULT, {"none"})
    assert result.text.splitlines()[1].split() == ["hello-agent", "none", "no", "signature", "was", "found"]


async def test_a_root_that_cannot_be_read_is_no_verdict_about_the_image() -> None:
    certificate = found({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}},
        "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": [{"sig": ""}]},
    })  # fmt: skip
    app = await pushed(certificate, agents=KEYLESS % b"{github: contoso/support}")
    result = await verify_image(context_of(app), IMAGE)
    assert (result.exit_code, result.data["agents"][0]["verdict"]) == (SERVICE_ERROR, "unknown")
    assert "the trusted root cannot be read" in result.text


async def test_without_a_rule_there_is_nothing_to_verify() -> None:
    app = await pushed(signature_of(DIGEST), agents=b"agents: {hello-agent: {repository: agents/hello}}")
    result = await verify_image(context_of(app), IMAGE)
    assert result.exit_code == NOTHING_TO_DO
    assert result.text == "no agent that follows agents/hello has release.signed_by; signatures of the image: 1"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("agents/nobody:v1", "no agent follows agents/nobody:v1; agents.yaml has agents/hello"),
        ("agents/hello-2:v1", "no agent follows agents/hello-2:v1"),
        (f"{REPOSITORY}:v9", "agents/hello has no tag v9"),
        (REPOSITORY, "add :TAG or @sha256:"),
        (f"{REPOSITORY}@sha256:12", "is not a digest"),
        (f"{REPOSITORY}@{OTHER}", f"the registry has no agents/hello@{OTHER}"),
    ],
)
async def test_a_wrong_reference_is_named(reference: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        await verify_image(context_of(await pushed()), reference)
    assert problem in str(raised.value.message)


async def test_a_registry_that_does_not_answer_is_an_error() -> None:
    app = await pushed()
    app.registry.error = TransientError("registry", "503", "read the signatures")
    with pytest.raises(TransientError):
        await verify_image(context_of(app), IMAGE)
