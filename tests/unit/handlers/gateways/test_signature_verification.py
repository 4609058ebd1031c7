"""Verification of bundles: those that cosign and Sigstore's conformance suite wrote, and each step broken by itself."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sigstore.errors import TUFError
from sigstore.verify import Verifier

from core.agents_file.loader import load_agents
from core.agents_file.spec import ReleaseSpec
from core.signatures import SignatureBundle, SignatureCheck, Verdict
from handlers.gateways.signatures import SignatureVerifier
from local.signing import public_pem, statement
from tests.recorded.exchanges import FOLDER
from tests.support.signing import OTHER_KEY, RELEASE_KEY, bundle, found, signature_of

RECORDED = FOLDER / "sigstore"
needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"there are no recordings in {RECORDED}")
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
IMAGE_OF_COSIGN = "sha256:1a712f9482bf62828a163f9223b4cad336182e556738aed3f80af741ec7e2a09"
ANYBODY = "{identity: '.*', issuer: '.*'}"
BEACON = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon"
WORKFLOW = "extremely-dangerous-oidc-beacon.yml"


def release(keys: str, files: Mapping[str, bytes] | None = None) -> ReleaseSpec:
    text = f"agents: {{a: {{repository: x, release: {{{keys}}}}}}}"
    known = {"release.pub": public_pem(RELEASE_KEY), "other.pub": public_pem(OTHER_KEY)} | dict(files or {})
    return load_agents(text.encode(), lambda name: known[name]).agents["a"].release


BY_KEY = "signed_by: [{key: release.pub}]"


async def check(
    *bundles: SignatureBundle, keys: str = BY_KEY, digest: str = DIGEST, files: Mapping[str, bytes] | None = None
) -> SignatureCheck:
    return await SignatureVerifier().verify(bundles, digest, release(keys, files))


async def test_a_signature_with_the_key_is_verified() -> None:
    assert await check(signature_of(DIGEST)) == SignatureCheck(
        Verdict.VERIFIED, "signed by key release.pub", "key release.pub"
    )


async def test_without_bundles_there_is_no_signature() -> None:
    assert (await check()).verdict is Verdict.NONE


@pytest.mark.parametrize(
    "key",
    [
        *(ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
)
async def test_each_kind_of_key_verifies(key: Any) -> None:
    files = {"any.pub": public_pem(key)}
    keys = "signed_by: [{key: release.pub}, {key: any.pub}]"
    assert (await check(signature_of(DIGEST, key), keys=keys, files=files)).signer == "key any.pub"
    assert (await check(signature_of(DIGEST, OTHER_KEY), keys=keys, files=files)).verdict is Verdict.INVALID


async def test_any_one_of_the_bundles_suffices() -> None:
    verified = await check(found(b"nonsense"), signature_of(DIGEST, OTHER_KEY), signature_of(DIGEST))
    assert verified.verdict is Verdict.VERIFIED


def changed(**changes: Any) -> SignatureBundle:
    """A signature with another part of its envelope."""
    content = bundle(statement(DIGEST))
    content["dsseEnvelope"] |= changes
    return found(content)


BROKEN = [
    (signature_of(DIGEST, OTHER_KEY), "is signed with another key (hint)"),
    (signature_of(OTHER), "signs another digest, by key release.pub"),
    (found(bundle(statement(DIGEST, _type="x"))), "signs something that is not a Statement (in-toto)"),
    (found(bundle(statement(DIGEST), payload_type="text/plain")), "signs another type of payload (text/plain)"),
    (changed(payload=base64.b64encode(statement(DIGEST, predicate=1)).decode()), "is signed with another key (hint)"),
    (changed(signatures=[{"sig": ""}]), "is signed with another key (hint)"),
    (changed(signatures=[]), "has not exactly one signature"),
    (found(json.dumps(bundle(statement(DIGEST))).encode()[:-9]), "is not JSON"),
    (found(bundle(statement(DIGEST)) | {"mediaType": "x"}), "is not a bundle of a version that Slipway knows (x)"),
    (SignatureBundle(OTHER, problem="has more than 1,000,000 bytes"), "has more than 1,000,000 bytes"),
    (
        found(bundle(statement(DIGEST)) | {"verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}}),
        "is signed without a key, and signed_by names only keys",
    ),
]


@pytest.mark.parametrize(("content", "problem"), BROKEN, ids=[problem[:40] for _, problem in BROKEN])
async def test_each_broken_step_is_named_and_nothing_passes(content: SignatureBundle, problem: str) -> None:
    verdict = await check(content)
    assert (verdict.verdict, verdict.signer) == (Verdict.INVALID, "")
    assert problem in verdict.detail


async def test_a_key_proves_nothing_where_only_identities_are_named() -> None:
    verdict = await check(signature_of(DIGEST), keys=f"signed_by: [{ANYBODY}]")
    assert verdict.detail.endswith("is signed with a key, and signed_by names none")


async def test_a_key_that_the_library_cannot_read_is_no_verdict() -> None:
    broken = base64.b64encode(bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")).decode()
    files = {"broken.pub": f"-----BEGIN PUBLIC KEY-----\n{broken}\n-----END PUBLIC KEY-----\n".encode()}
    verdict = await check(signature_of(DIGEST), keys="signed_by: [{key: broken.pub}]", files=files)
    assert verdict.verdict is Verdict.UNKNOWN


async def test_without_the_public_root_nothing_is_known() -> None:
    def unreachable() -> Verifier:
        raise TUFError("Failed to refresh TUF metadata")

    certificate = found(bundle(statement(DIGEST)) | {"verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}})
    verifier = SignatureVerifier(unreachable)
    verdict = await verifier.verify([certificate], DIGEST, release(f"signed_by: [{ANYBODY}]"))
    assert verdict == SignatureCheck(Verdict.UNKNOWN, "the trusted root cannot be read: Failed to refresh TUF metadata")


async def test_a_root_of_nonsense_is_no_verdict() -> None:
    root = b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [{}]}'
    certificate = found(bundle(statement(DIGEST)) | {"verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}})
    verdict = await check(certificate, keys=f"signed_by: [{ANYBODY}], trusted_root: root", files={"root": root})
    assert verdict.verdict is Verdict.UNKNOWN


@needs_recordings
@pytest.mark.parametrize(
    ("number", "key"), [(0, "other.pub"), (1, "key.pub"), (2, "key.pub")], ids=["other key", "attest", "sign"]
)
async def test_what_cosign_signed_is_verified_by_its_key_alone(number: int, key: str) -> None:
    files = {name: (RECORDED / "cosign" / name).read_bytes() for name in ("key.pub", "other.pub")}
    recorded = SignatureBundle(OTHER, (RECORDED / "cosign" / f"bundle-{number}.json").read_bytes())
    for name in files:
        keys = f"signed_by: [{{key: {name}}}]"
        verdict = (await check(recorded, keys=keys, digest=IMAGE_OF_COSIGN, files=files)).verdict
        assert verdict is (Verdict.VERIFIED if name == key else Verdict.INVALID)
        assert (await check(recorded, keys=keys, files=files)).verdict is Verdict.INVALID, "another image"


def conformance() -> list[Path]:
    return sorted((RECORDED / "conformance").iterdir()) if RECORDED.is_dir() else []


def root_of(case: Path) -> bytes:
    """The root of a case, or that of the public Sigstore as the library brings it."""
    own = case / "trusted_root.json"
    if own.exists():
        return own.read_bytes()
    import sigstore

    stored = Path(sigstore.__file__).parent / "_store"
    return next(file for file in stored.rglob("trusted_root.json") if "sigstore.dev" in str(file)).read_bytes()


async def judge(case: Path, signer: str = ANYBODY, digest: str = "") -> SignatureCheck:
    content = (case / "bundle.sigstore.json").read_bytes()
    payload = json.loads(base64.b64decode(json.loads(content)["dsseEnvelope"]["payload"]))
    keys = f"signed_by: [{signer}], trusted_root: root"
    digest = digest or f"sha256:{payload['subject'][0]['digest']['sha256']}"
    return await check(SignatureBundle(OTHER, content), keys=keys, digest=digest, files={"root": root_of(case)})


@needs_recordings
@pytest.mark.parametrize("case", conformance(), ids=lambda case: case.name)
async def test_the_conformance_suite_passes_and_fails_as_it_says(case: Path) -> None:
    verdict = await judge(case)
    assert verdict.verdict is (Verdict.INVALID if case.name.endswith("_fail") else Verdict.VERIFIED), verdict.detail


@needs_recordings
@pytest.mark.parametrize("name", ["happy-path-intoto-in-dsse-v3", "rekor2-dsse-happy-path"])
async def test_a_valid_certificate_of_somebody_else_is_named_and_refused(name: str) -> None:
    case = RECORDED / "conformance" / name
    beacon = BEACON.removeprefix("https://github.com/")
    assert (await judge(case, f"{{github: {beacon}, workflow: {WORKFLOW}, ref: refs/heads/main}}")).signer.startswith(
        BEACON
    )
    for signer in (
        "{github: contoso/support-agent}",
        f"{{github: {beacon}, ref: refs/tags/*}}",
        f"{{github: {beacon}, workflow: other.yml}}",
        "{identity: beacon, issuer: '.*'}",
        "{identity: '.*', issuer: 'https://accounts\\.google\\.com'}",
    ):
        verdict = await judge(case, signer)
        assert verdict.verdict is Verdict.INVALID
        assert f"signed_by does not name the signer (certificate of {BEACON}" in verdict.detail
    assert "signs another digest" in (await judge(case, digest=DIGEST)).detail


@needs_recordings
@pytest.mark.parametrize(
    "path",
    [
        ("verificationMaterial", "certificate", "rawBytes"),
        ("verificationMaterial", "tlogEntries", 0, "canonicalizedBody"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionProof", "rootHash"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionPromise", "signedEntryTimestamp"),
        ("dsseEnvelope", "payload"),
        ("dsseEnvelope", "signatures", 0, "sig"),
    ],
    ids=lambda path: str(path[-1]),
)
async def test_a_changed_part_of_a_good_bundle_fails(path: tuple[Any, ...]) -> None:
    case = RECORDED / "conformance" / "happy-path-intoto-in-dsse-v3"
    content = json.loads((case / "bundle.sigstore.json").read_bytes())
    *above, last = path
    part = content
    for key in above:
        part = part[key]
    data = bytearray(base64.b64decode(part[last]))
    data[len(data) // 2] ^= 1
    part[last] = base64.b64encode(data).decode()
    payload = json.loads((case / "bundle.sigstore.json").read_bytes())["dsseEnvelope"]["payload"]
    digest = json.loads(base64.b64decode(payload))["subject"][0]["digest"]["sha256"]
    keys = f"signed_by: [{ANYBODY}], trusted_root: root"
    verdict = await check(found(content), keys=keys, digest=f"sha256:{digest}", files={"root": root_of(case)})
    assert verdict.verdict is Verdict.INVALID


@needs_recordings
async def test_a_root_of_another_sigstore_verifies_nothing() -> None:
    case = RECORDED / "conformance" / "happy-path-intoto-in-dsse-v3"
    other = (RECORDED / "conformance" / "intoto-expired-certificate_fail" / "trusted_root.json").read_bytes()
    content = (case / "bundle.sigstore.json").read_bytes()
    keys = f"signed_by: [{ANYBODY}], trusted_root: root"
    assert (await check(SignatureBundle(OTHER, content), keys=keys, files={"root": other})).verdict is Verdict.INVALID


async def test_verifications_run_beside_each_other() -> None:
    verifier = SignatureVerifier()
    both = await asyncio.gather(*(verifier.verify([signature_of(DIGEST)], DIGEST, release(BY_KEY)) for _ in range(8)))
    assert {item.verdict for item in both} == {Verdict.VERIFIED}
