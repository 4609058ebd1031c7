"""Tests for reading bundles and the Statements in them, before and after a signature is verified."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.model import Push
from core.signatures import NEVER, BundleError, Verdict, not_verified, parse_bundle, statement_problem
from core.state.release import GoodVersion, ReleaseState
from local.signing import statement
from tests.support.signing import bundle

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def changed(**changes: Any) -> bytes:
    return json.dumps(bundle(statement(DIGEST)) | changes).encode()


def envelope(**changes: Any) -> bytes:
    return changed(dsseEnvelope=bundle(statement(DIGEST))["dsseEnvelope"] | changes)


def test_a_bundle_has_an_envelope_with_a_payload_and_a_signature() -> None:
    parsed = parse_bundle(changed())
    assert json.loads(parsed.payload)["predicate"] == {}
    assert (parsed.has_certificate, parsed.key_hint) == (False, "hint")
    assert parsed.signature


@pytest.mark.parametrize("material", [{"certificate": {}}, {"x509CertificateChain": {}}])
def test_a_bundle_with_a_certificate_is_signed_without_a_key(material: Any) -> None:
    assert parse_bundle(changed(verificationMaterial=material)).has_certificate


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3"])
def test_older_versions_of_bundles_are_known(version: str) -> None:
    parsed = parse_bundle(changed(mediaType=f"application/vnd.dev.sigstore.bundle+json;version={version}"))
    assert parsed.key_hint == "hint"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not JSON"),
        (changed()[:-20], "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a bundle of a version that Slipway knows (None)"),
        (changed(mediaType=["x"]), "is not a bundle of a version that Slipway knows (['x'])"),
        (
            changed(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json"),
            "is not a bundle of a version that Slipway knows (application/vnd.dev.sigstore.bundle.v0.4+json)",
        ),
        (changed(dsseEnvelope=None), "has not exactly one signature in an envelope (DSSE)"),
        (changed(messageSignature={}, dsseEnvelope={}), "has not exactly one signature in an envelope (DSSE)"),
        (envelope(signatures=[]), "has not exactly one signature in an envelope (DSSE)"),
        (envelope(signatures=[{"sig": "AA=="}] * 2), "has not exactly one signature in an envelope (DSSE)"),
        (envelope(payloadType="text/plain"), "signs another type of payload (text/plain)"),
        (envelope(payload="%"), "is not base64 where it must be"),
        (envelope(signatures=[{"sig": "ä"}]), "is not base64 where it must be"),
        (changed(verificationMaterial={}), "names neither a key nor a certificate, or both"),
        (changed(verificationMaterial=None), "names neither a key nor a certificate, or both"),
        (
            changed(verificationMaterial={"publicKey": {}, "certificate": {}}),
            "names neither a key nor a certificate, or both",
        ),
    ],
)
def test_what_is_not_a_bundle_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(BundleError) as refused:
        parse_bundle(data)
    assert str(refused.value) == problem


def test_missing_parts_of_an_envelope_are_empty_and_verify_nothing() -> None:
    parsed = parse_bundle(envelope(payload=None, signatures=["x"]))
    assert (parsed.payload, parsed.signature) == (b"", b"")


@pytest.mark.parametrize("kind", ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"])
def test_a_statement_may_have_several_subjects(kind: str) -> None:
    assert statement_problem(statement(OTHER, DIGEST, _type=kind), DIGEST) == ""


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "signs a payload that is not JSON"),
        (b"{" * 100_000, "signs a payload that is not JSON"),
        (b"[]", "signs something that is not a Statement (in-toto)"),
        (
            statement(DIGEST, _type="https://in-toto.io/Statement/v2"),
            "signs something that is not a Statement (in-toto)",
        ),
        (statement(DIGEST, _type=["x"]), "signs something that is not a Statement (in-toto)"),
        (statement(OTHER), "signs another digest"),
        (statement(), "signs another digest"),
        (statement(subject=None), "signs another digest"),
        (statement(subject=[None, {"digest": DIGEST}, {"digest": {"sha512": "a" * 64}}]), "signs another digest"),
        (statement(subject=[{"digest": {"sha256": DIGEST}}]), "signs another digest"),
    ],
)
def test_a_payload_that_is_not_about_the_image_counts_for_nothing(payload: bytes, problem: str) -> None:
    assert statement_problem(payload, DIGEST) == problem


def test_what_is_wrong_is_named_for_each_signature_up_to_three() -> None:
    assert not_verified(["a is bad"]).detail == "a is bad"
    many = not_verified([f"{name} is bad" for name in "abcde"])
    assert (many.verdict, many.detail) == (
        Verdict.INVALID,
        "5 signatures: a is bad; b is bad; c is bad; and 2 more",
    )


def test_a_release_knows_who_signed_the_images_of_its_good_versions() -> None:
    push = Push("agents/hello", DIGEST, "v1", NEVER, "event")
    first, second = GoodVersion(push, "fp-1", "1", signer="key a.pub"), GoodVersion(push, "fp-2", "2")
    assert ReleaseState().signers == {}
    assert ReleaseState(previous_good=first, last_good=second).signers == {"1": "key a.pub"}
