"""Signs images with a key, as ``cosign sign`` of version 3 does: a bundle of Sigstore that refers to the image."""

from __future__ import annotations

import base64
import hashlib
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from local.images import Artifact, push_artifact
from local.private_files import make_private, write_private
from local.registry.referrers import INDEX
from local.registry.repository import digest_of

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
HASHES = {384: hashes.SHA384(), 521: hashes.SHA512()}
"""By the size of a key for ECDSA; SHA-256 for any other."""
EMPTY, EMPTY_TYPE = b"{}", "application/vnd.oci.empty.v1+json"


class SigningKeyError(Exception):
    """A file is not a private key to sign with."""


def stack_key(folder: Path) -> PrivateKey:
    """The key of a stack, made at its first use; its public key is beside it, for ``signed_by`` of agents.yaml."""
    keys = make_private(make_private(folder) / "signing")
    private, public = keys / "release.key", keys / "release.pub"
    if not private.exists():
        key = new_key()
        write_private(public, public_pem(key))
        write_private(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return read_key(private)


def new_key() -> PrivateKey:
    """A key of the kind that cosign makes."""
    return ec.generate_private_key(ec.SECP256R1())


def read_key(file: Path) -> PrivateKey:
    """The private key of a file in PEM, without a password; raises SigningKeyError."""
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{file} is not a private key in PEM without a password") from error
    if not isinstance(key, PrivateKey):
        raise SigningKeyError(f"{file} is not a key for ECDSA, Ed25519 or RSA")
    return key


def public_pem(key: PrivateKey) -> bytes:
    """The public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def sign_image(registry: str, repository: str, digest: str, key: PrivateKey) -> None:
    """Push a signature of the digest to the registry at ``host:port``."""
    base = f"http://{registry}/v2/{repository}"
    async with ClientSession(raise_for_status=True) as session, session.get(f"{base}/manifests/{digest}") as response:
        subject = {"mediaType": response.content_type, "digest": digest, "size": len(await response.read())}
    referrer = _referrer(subject, json.dumps(bundle(statement(digest), key)).encode())
    await push_artifact(registry, repository, None, referrer)
    tagged = await _tagged_referrers(base, digest)
    if tagged is not None:
        entries = [*tagged, referrer.descriptor | {"artifactType": BUNDLE_TYPE}]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        await push_artifact(registry, repository, _tag_of_referrers(digest), Artifact(INDEX, index))


async def _tagged_referrers(base: str, digest: str) -> list[dict[str, Any]] | None:
    """What the index at the tag of the referrers names; None where the registry lists referrers itself."""
    async with ClientSession() as session:
        async with session.get(f"{base}/referrers/{digest}") as listed:
            if listed.status != HTTPStatus.NOT_FOUND:
                return None
        async with session.get(f"{base}/manifests/{_tag_of_referrers(digest)}") as response:
            return list(json.loads(await response.read())["manifests"]) if response.ok else []


def _tag_of_referrers(digest: str) -> str:
    return digest.replace(":", "-")


def _referrer(subject: dict[str, Any], data: bytes) -> Artifact:
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE_TYPE,
        "config": {"mediaType": EMPTY_TYPE, "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": [{"mediaType": BUNDLE_TYPE, "digest": digest_of(data), "size": len(data)}],
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": PREDICATE_TYPE,
        },
        "subject": subject,
    }
    return Artifact(MANIFEST, json.dumps(manifest).encode(), [EMPTY, data])


def statement(*digests: str, **changes: Any) -> bytes:
    """The Statement (in-toto) that signs digests, with keys changed."""
    body = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}} for digest in digests],
        "predicateType": PREDICATE_TYPE,
        "predicate": {},
    }
    return json.dumps(body | changes).encode()


def bundle(payload: bytes, key: PrivateKey, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """The bundle of Sigstore with a payload that the key signs."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": base64_text(hashlib.sha256(public).digest())}},
        "dsseEnvelope": {
            "payload": base64_text(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": base64_text(sign(key, pae(payload, payload_type)))}],
        },
    }


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that the signature of an envelope (DSSE) is over."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode(), len(payload), payload)


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature of a key, as cosign makes it."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(HASHES.get(key.key_size, hashes.SHA256())))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data)


def base64_text(data: bytes) -> str:
    """The bytes as a bundle writes them."""
    return base64.b64encode(data).decode()
