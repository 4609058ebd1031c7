"""Whether an image is signed as ``release.signed_by`` asks: the verdict, and what a signed Statement must say."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from core.json_map import as_map, as_maps

ARTIFACT_TYPE = "application/vnd.dev.sigstore.bundle"
"""How the media types of bundles, of their layers and of the manifests that carry them begin."""
BUNDLE_TYPES = frozenset(
    {f"{ARTIFACT_TYPE}.v0.3+json", *(f"{ARTIFACT_TYPE}+json;version=0.{number}" for number in (1, 2, 3))}
)
CERTIFICATE_KEYS = frozenset({"certificate", "x509CertificateChain"})
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPES = frozenset({"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"})
MAX_BUNDLE_BYTES, MAX_BUNDLES = 1_000_000, 50
MAX_NAMED_PROBLEMS = 3


NEVER = datetime.fromtimestamp(0, UTC)


class Verdict(StrEnum):
    """What is known of an image's signatures."""

    VERIFIED = "verified"
    NONE = "none"
    INVALID = "invalid"
    """There are signatures, and none is as asked."""
    UNKNOWN = "unknown"
    """The registry or the trust root did not answer."""


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """The verdict about one digest."""

    verdict: Verdict
    detail: str = ""
    signer: str = ""
    at: datetime = NEVER
    """When it was asked for."""


@dataclass(frozen=True, slots=True)
class SignatureBundle:
    """A bundle of Sigstore that refers to an image."""

    digest: str
    """Of the bundle itself, or of the manifest that names it."""
    data: bytes = b""
    problem: str = ""
    """Why it was not read."""


class BundleError(ValueError):
    """What is wrong with a bundle."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed envelope (DSSE), before its signature is verified."""

    payload: bytes
    payload_type: str
    signature: bytes
    has_certificate: bool
    """Signed without a key; else by a key."""
    key_hint: str = ""


def parse_bundle(data: bytes) -> Envelope:
    """The envelope of a bundle; raises BundleError."""
    try:
        bundle = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError("is not JSON") from error
    media_type = as_map(bundle).get("mediaType")
    if not isinstance(media_type, str) or media_type not in BUNDLE_TYPES:
        raise BundleError(f"is not a bundle of a version that Slipway knows ({str(media_type)[:80]})")
    envelope, material = as_map(bundle.get("dsseEnvelope")), as_map(bundle.get("verificationMaterial"))
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise BundleError("has not exactly one signature in an envelope (DSSE)")
    payload_type = envelope.get("payloadType")
    if payload_type != PAYLOAD_TYPE:
        raise BundleError(f"signs another type of payload ({str(payload_type)[:80]})")
    has_certificate = not CERTIFICATE_KEYS.isdisjoint(material)
    if has_certificate == ("publicKey" in material):
        raise BundleError("names neither a key nor a certificate, or both")
    hint = as_map(material.get("publicKey")).get("hint")
    payload, signature = _decoded(envelope.get("payload")), _decoded(as_map(signatures[0]).get("sig"))
    return Envelope(payload, PAYLOAD_TYPE, signature, has_certificate, str(hint or "")[:60])


def statement_problem(payload: bytes, digest: str) -> str:
    """Why a payload, whose signature is verified, says nothing about the image; empty where it is about it."""
    try:
        statement = as_map(json.loads(payload))
    except (ValueError, RecursionError):
        return "signs a payload that is not JSON"
    if str(statement.get("_type")) not in STATEMENT_TYPES:
        return "signs something that is not a Statement (in-toto)"
    digests = [as_map(item.get("digest")).get("sha256") for item in as_maps(statement.get("subject"))]
    if digest.removeprefix("sha256:") not in digests:
        return "signs another digest"
    return ""


def check_of_image(checks: Iterable[tuple[SignatureBundle, SignatureCheck]]) -> SignatureCheck:
    """The check of an image by those of its bundles: one that is verified is enough, and none after it is read."""
    problems: list[str] = []
    unknown: SignatureCheck | None = None
    for bundle, check in checks:
        if check.verdict is Verdict.VERIFIED:
            return check
        if check.verdict is Verdict.UNKNOWN:
            unknown = check
        else:
            problems.append(f"{bundle.digest[7:19]} {check.detail}")
    if unknown:
        return unknown
    return not_verified(problems) if problems else SignatureCheck(Verdict.NONE, "no signature was found")


def not_verified(problems: Sequence[str]) -> SignatureCheck:
    """The check of an image with signatures that are not as asked, each with what is wrong."""
    named = [*dict.fromkeys(problems)]
    more = f"; and {len(named) - MAX_NAMED_PROBLEMS} more" if len(named) > MAX_NAMED_PROBLEMS else ""
    count = f"{len(problems)} signatures: " if len(problems) > 1 else ""
    return SignatureCheck(Verdict.INVALID, count + "; ".join(named[:MAX_NAMED_PROBLEMS]) + more)


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError) as error:
        raise BundleError("is not base64 where it must be") from error
