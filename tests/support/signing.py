"""Keys of the tests, and bundles of Sigstore that are signed with them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from core.signatures import PAYLOAD_TYPE, SignatureBundle
from local import signing
from local.signing import PrivateKey, statement

RELEASE_KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def bundle(payload: bytes, key: PrivateKey = RELEASE_KEY, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """A bundle that names its key with a hint that tests can name."""
    return signing.bundle(payload, key, payload_type) | {"verificationMaterial": {"publicKey": {"hint": "hint"}}}


def signature_of(digest: str, key: PrivateKey = RELEASE_KEY) -> SignatureBundle:
    """What the registry has once the digest is signed with the key."""
    return found(bundle(statement(digest), key))


def found(content: object) -> SignatureBundle:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return SignatureBundle(f"sha256:{hashlib.sha256(data).hexdigest()}", data)
