"""Verifies signatures of images with the libraries of Sigstore, which are imported once a rule asks."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from core.agents_file.signers import KeylessSigner, KeySigner, matches
from core.agents_file.spec import ReleaseSpec
from core.signatures import (
    PAYLOAD_TYPE,
    BundleError,
    Envelope,
    SignatureBundle,
    SignatureCheck,
    Verdict,
    check_of_image,
    parse_bundle,
    statement_problem,
)
from handlers.gateways.errors import UNREADABLE_CONTENT

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.verify import Verifier

ROOT_SECONDS = 86_400.0
"""How long the trusted root of the public Sigstore counts; it changes a few times a year."""
MAX_SECONDS = 60.0
"""For all signatures of an image, and for reading the trusted root."""
ISSUERS = ("1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1")
"""Extensions of a certificate with the issuer of the identity: as DER, and as plain text in old certificates.
github.com/sigstore/fulcio, docs/oid-info.md."""
SOURCE_REPOSITORY = "1.3.6.1.4.1.57264.1.12"
"""The repository whose workflow ran: a reusable workflow runs for others under its own name."""
PRINTABLE = re.compile(r"[!-~]{1,200}")


class SignatureSource(Protocol):
    """Where signatures are; raises TransientError or PermanentError."""

    async def list_signatures(self, repository: str, digest: str) -> Sequence[SignatureBundle]:
        """The bundles of Sigstore that refer to a digest, with what is wrong with those that cannot be read."""

    async def has_referrers_api(self, repository: str, digest: str) -> bool:
        """Whether the registry lists referrers; without the API they are in an index at a tag."""


class TrustRootError(Exception):
    """The trusted root cannot be read: nothing can be said about a certificate."""


@dataclass(slots=True)
class SignatureVerifier:
    """Verifies bundles in a thread. Nothing is imported before the first call."""

    load_root: Callable[[], Verifier] = field(default_factory=lambda: _public_sigstore)
    _public: tuple[float, Verifier] | None = None
    _own: dict[bytes, Verifier] = field(default_factory=dict)

    async def verify(self, bundles: Sequence[SignatureBundle], digest: str, release: ReleaseSpec) -> SignatureCheck:
        """Whether one of the bundles is a signature of the digest by one of the signers; never raises."""
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await asyncio.to_thread(self._verify, bundles, digest, release)
        except TimeoutError:
            return SignatureCheck(Verdict.UNKNOWN, "the signatures could not be verified in time")

    def _verify(self, bundles: Sequence[SignatureBundle], digest: str, release: ReleaseSpec) -> SignatureCheck:
        return check_of_image((bundle, self.verify_one(bundle, digest, release)) for bundle in bundles)

    def verify_one(self, bundle: SignatureBundle, digest: str, release: ReleaseSpec) -> SignatureCheck:
        """Whether the bundle is a signature of the digest by one of the signers; it blocks, and never raises."""
        try:
            signer = self._signer_of(bundle, digest, release)
        except TrustRootError as error:
            return SignatureCheck(Verdict.UNKNOWN, str(error))
        except BundleError as error:
            return SignatureCheck(Verdict.INVALID, str(error))
        return SignatureCheck(Verdict.VERIFIED, f"signed by {signer}", signer)

    def _signer_of(self, bundle: SignatureBundle, digest: str, release: ReleaseSpec) -> str:
        """Who signed the digest in the bundle; raises BundleError where that is none of the signers."""
        if bundle.problem:
            raise BundleError(bundle.problem)
        envelope = parse_bundle(bundle.data)
        if envelope.has_certificate:
            payload, signer = self._verify_certificate(bundle.data, release)
        else:
            payload, signer = envelope.payload, _verify_key(envelope, release)
        if problem := statement_problem(payload, digest):
            raise BundleError(f"{problem}, by {signer}")
        return signer

    def _verify_certificate(self, data: bytes, release: ReleaseSpec) -> tuple[bytes, str]:
        from sigstore.models import Bundle

        signers = [signer for signer in release.signed_by if not isinstance(signer, KeySigner)]
        if not signers:
            raise BundleError("is signed without a key, and signed_by names only keys")
        verifier, policy = self._verifier(release), _Policy(signers)
        try:
            payload_type, payload = verifier.verify_dsse(Bundle.from_json(data), policy)
        except _sigstore_errors() as error:
            found = f" (certificate of {policy.found})" if policy.found else ""
            raise BundleError(f"{_one_line(error)}{found}") from error
        if payload_type != PAYLOAD_TYPE:
            raise BundleError("signs another type of payload")
        return payload, policy.found

    def read_root(self, release: ReleaseSpec) -> None:
        """Read the trusted root of a rule, unless it is known already; raises TrustRootError."""
        self._verifier(release)

    def _verifier(self, release: ReleaseSpec) -> Verifier:
        try:
            if release.trusted_root is not None:
                if release.root not in self._own:
                    self._own[release.root] = _own_sigstore(release.root)
                return self._own[release.root]
            now = time.monotonic()
            if self._public is None or now - self._public[0] > ROOT_SECONDS:
                self._public = (now, self.load_root())
            return self._public[1]
        except _sigstore_errors() as error:
            raise TrustRootError(f"the trusted root cannot be read: {_one_line(error)}") from error


def _public_sigstore() -> Verifier:
    """A verifier for the public Sigstore, whose trusted root comes by TUF: over the network, into the home folder."""
    from sigstore.verify import Verifier

    return Verifier.production()


def _own_sigstore(root: bytes) -> Verifier:
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier
    from sigstore_models.trustroot.v1 import TrustedRoot as Content

    return Verifier(trusted_root=TrustedRoot(Content.from_json(root)))


class _Policy:
    """Accepts a certificate whose identity and issuer are those of a signer; ``found`` says whose it is."""

    def __init__(self, signers: Sequence[KeylessSigner]) -> None:
        self._signers, self.found = signers, ""

    def verify(self, cert: Certificate) -> None:
        """Raise VerificationError unless one of the signers signed; called once the certificate is verified."""
        from sigstore.errors import VerificationError

        identity, issuer = _identity(cert), _issuer(cert)
        self.found = f"{_shown(identity)} (issuer {_shown(issuer)})"
        for signer in self._signers:
            if matches(signer, identity, issuer) and _runs_for(signer, cert):
                return
        raise VerificationError("signed_by does not name the signer")


def _runs_for(signer: KeylessSigner, cert: Certificate) -> bool:
    repository = getattr(signer, "github", None)
    return repository is None or _extension(cert, SOURCE_REPOSITORY) == f"https://github.com/{repository}"


def _identity(cert: Certificate) -> str:
    from cryptography.x509 import RFC822Name, SubjectAlternativeName, UniformResourceIdentifier
    from sigstore.errors import VerificationError

    names = cert.extensions.get_extension_for_class(SubjectAlternativeName).value
    found = [*names.get_values_for_type(UniformResourceIdentifier), *names.get_values_for_type(RFC822Name)]
    if len(found) != 1:
        raise VerificationError("the certificate has not exactly one identity")
    return str(found[0])


def _issuer(cert: Certificate) -> str:
    return _extension(cert, ISSUERS[0]) or _extension(cert, ISSUERS[1], as_der=False)


def _extension(cert: Certificate, oid: str, *, as_der: bool = True) -> str:
    from cryptography.hazmat import asn1

    found = next((item.value for item in cert.extensions if item.oid.dotted_string == oid), None)
    value: bytes = getattr(found, "value", b"")
    if not value:
        return ""
    return asn1.decode_der(str, value) if as_der else value.decode()


def _verify_key(envelope: Envelope, release: ReleaseSpec) -> str:
    """The signer whose key signed the envelope."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope as SignedEnvelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer._key import SSlibKey
    from securesystemslib.signer._signature import Signature

    signers = [signer for signer in release.signed_by if isinstance(signer, KeySigner)]
    if not signers:
        raise BundleError("is signed with a key, and signed_by names none")
    for signer in signers:
        try:
            public: Any = load_pem_public_key(signer.pem)
            # cosign and Key Vault sign with PKCS #1 v1.5; the library's default for RSA is PSS
            scheme = "rsa-pkcs1v15-sha256" if type(public).__name__.endswith("RSAPublicKey") else None
            key = SSlibKey.from_crypto(public, scheme=scheme)
            signed = {key.keyid: Signature(key.keyid, envelope.signature.hex())}
            SignedEnvelope(envelope.payload, envelope.payload_type, signed).verify([key], 1)
            return str(signer)
        except VerificationError:
            continue
        except _unreadable() as error:
            raise TrustRootError(f"{signer.key} is not a key to verify with: {_one_line(error)}") from error
    hint = f" ({envelope.key_hint})" if envelope.key_hint else ""
    raise BundleError(f"is signed with another key{hint}")


def _unreadable() -> tuple[type[Exception], ...]:
    """What the libraries raise for bytes that are not what they should be."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.x509 import DuplicateExtension, ExtensionNotFound, InvalidVersion, UnsupportedGeneralNameType

    x509 = (DuplicateExtension, ExtensionNotFound, InvalidVersion, UnsupportedGeneralNameType)
    return (*UNREADABLE_CONTENT, *x509, InvalidSignature, UnsupportedAlgorithm)


def _sigstore_errors() -> tuple[type[Exception], ...]:
    from sigstore.errors import Error
    from tuf.api.exceptions import DownloadError, RepositoryError

    return (*_unreadable(), Error, DownloadError, RepositoryError, OSError)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _shown(text: str) -> str:
    return text if PRINTABLE.fullmatch(text) else repr(text)[:200]
