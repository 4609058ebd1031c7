"""Keys, and bundles of Sigstore as cosign 3 writes them with a key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.signatures import PAYLOAD_TYPE, SignatureBundle

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
V0_3 = "application/vnd.dev.sigstore.bundle.v0.3+json"
RELEASE_KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data)


def statement(*digests: str, **changes: Any) -> bytes:
    subjects: Sequence[dict[str, Any]] = [{"digest": {"sha256": item.removeprefix("sha256:")}} for item in digests]
    body = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }
    return json.dumps(body | changes).encode()


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that a DSSE signature is over."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode(), len(payload), payload)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bundle(payload: bytes, key: PrivateKey = RELEASE_KEY, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    return {
        "mediaType": V0_3,
        "verificationMaterial": {"publicKey": {"hint": "hint"}},
        "dsseEnvelope": {
            "payload": text(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": text(sign(key, pae(payload, payload_type)))}],
        },
    }


def signature_of(digest: str, key: PrivateKey = RELEASE_KEY) -> SignatureBundle:
    """What the registry has once the digest is signed with the key."""
    return found(bundle(statement(digest), key))


def found(content: object) -> SignatureBundle:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return SignatureBundle(f"sha256:{hashlib.sha256(data).hexdigest()}", data)
