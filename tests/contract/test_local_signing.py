"""Signatures that the local stack makes: the product finds and verifies them, with the referrers API and without it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from core.agents_file.loader import load_agents
from core.signatures import SignatureBundle, Verdict
from handlers.gateways.signatures import SignatureVerifier
from local.images import push
from local.registry.server import Registry
from local.signing import PrivateKey, SigningKeyError, bundle, public_pem, read_key, sign_image, stack_key, statement
from local.tls import Authority
from tests.contract.test_registry_gateway import LocalRegistry
from tests.recorded.exchanges import FOLDER
from tests.support.signing import OTHER_KEY, RELEASE_KEY

REPOSITORY = "agents/hello"
RECORDED = FOLDER / "sigstore" / "cosign"
RULE = b"agents: {a: {repository: agents/hello, release: {signed_by: [{key: release.pub}]}}}"


@dataclass
class Served:
    gateway: LocalRegistry
    registry: Registry
    host: str

    async def signatures(self, digest: str) -> Sequence[SignatureBundle]:
        return await self.gateway.list_signatures(REPOSITORY, digest)

    async def verdict(self, digest: str, key: PrivateKey = RELEASE_KEY) -> Verdict:
        """Of a rule that names the key."""
        release = load_agents(RULE, lambda _: public_pem(key)).agents["a"].release
        return (await SignatureVerifier().verify(await self.signatures(digest), digest, release)).verdict


@pytest.fixture(params=[True, False], ids=["referrers API", "tag schema"])
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    authority, registry = Authority(tmp_path), Registry("demo")
    registry.referrers.enabled = request.param
    url = await registry.start(tls=authority.server())
    host = (await registry.start()).removeprefix("http://")
    gateway = LocalRegistry(url, authority.ca)
    yield Served(gateway, registry, host)
    await gateway.close()
    await registry.stop()


async def test_a_signature_is_found_and_verified_with_its_key_alone(served: Served) -> None:
    digest = await push(served.host, REPOSITORY, "v1")
    assert await served.verdict(digest) is Verdict.NONE
    await sign_image(served.host, REPOSITORY, digest, OTHER_KEY)
    assert await served.verdict(digest) is Verdict.INVALID
    await sign_image(served.host, REPOSITORY, digest, RELEASE_KEY)
    assert await served.verdict(digest) is Verdict.VERIFIED
    assert len(await served.signatures(digest)) == 2
    assert await served.signatures(await push(served.host, REPOSITORY, "v2", salt="two")) == []


async def test_an_index_is_signed_as_it_is(served: Served) -> None:
    digest = await push(served.host, REPOSITORY, "v1", kind="index")
    await sign_image(served.host, REPOSITORY, digest, RELEASE_KEY)
    assert await served.verdict(digest) is Verdict.VERIFIED
    tags = served.registry.repositories[REPOSITORY].tags
    assert (digest.replace(":", "-") in tags) is not served.registry.referrers.enabled


@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"there are no recordings in {RECORDED}")
async def test_the_referrer_and_its_bundle_have_the_form_of_cosign(served: Served) -> None:
    digest = await push(served.host, REPOSITORY, "v1")
    await sign_image(served.host, REPOSITORY, digest, RELEASE_KEY)
    stored = served.registry.repositories[REPOSITORY]
    manifests = [json.loads(data) for _, data in stored.manifests.values()]
    ours = next(manifest for manifest in manifests if manifest.get("subject"))
    cosign = json.loads((RECORDED / "referrer-2.json").read_bytes())
    assert ours.keys() == cosign.keys()
    assert ours["subject"].keys() == cosign["subject"].keys()
    assert [layer.keys() for layer in ours["layers"]] == [layer.keys() for layer in cosign["layers"]]
    assert ours["annotations"].items() <= cosign["annotations"].items()
    recorded = json.loads((RECORDED / "bundle-2.json").read_bytes())
    made = bundle(statement(digest), RELEASE_KEY)
    assert made.keys() == recorded.keys()
    assert made["dsseEnvelope"].keys() == recorded["dsseEnvelope"].keys()


def test_a_stack_makes_its_key_once_and_keeps_it_private(tmp_path: Path) -> None:
    first, second = stack_key(tmp_path), stack_key(tmp_path)
    assert public_pem(first) == public_pem(second) == (tmp_path / "signing" / "release.pub").read_bytes()
    assert (tmp_path / "signing" / "release.key").stat().st_mode & 0o077 == 0


PASSWORD = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)
UNUSABLE = x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("content", [b"", b"nonsense", public_pem(RELEASE_KEY), PASSWORD, UNUSABLE])
def test_a_file_that_is_not_a_key_to_sign_with_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "my.key").write_bytes(content)
    with pytest.raises(SigningKeyError, match="is not a"):
        read_key(tmp_path / "my.key")
