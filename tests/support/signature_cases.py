"""Images with one signature each, and what must be said of it: right ones, and each step of the verification wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from sigstore.verify import Verifier

from core.agents_file.loader import load_agents
from core.agents_file.spec import ReleaseSpec
from core.signatures import SignatureBundle, Verdict
from local.signing import public_pem, statement
from tests.support import signing
from tests.support.signing import OTHER_KEY, RELEASE_KEY, found
from tests.support.sigstore import (
    SIGNED_AT,
    WORKFLOW,
    Certificate,
    LogEntry,
    Sigstore,
    new_key,
)

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
SIGSTORE = Sigstore()
RSA_KEY = rsa.generate_private_key(65537, 2048)
NONSENSE = json.dumps(json.loads(SIGSTORE.root) | {"certificateAuthorities": "x"}).encode()
FILES = {
    "release.pub": public_pem(RELEASE_KEY),
    "rsa.pub": public_pem(RSA_KEY),
    "root.json": SIGSTORE.root,
    "other.json": Sigstore().root,
    "nonsense.json": NONSENSE,
}
BY_KEY = "{key: release.pub}"
BY_GITHUB = "{github: contoso/support, workflow: release.yml, ref: refs/tags/*}"
PEOPLE = r"{identity: 'build@contoso\.com', issuer: 'https://accounts\.example\.com'}"
EMAIL = (x509.RFC822Name("build@contoso.com"),)
LATER = SIGNED_AT + timedelta(hours=1)


def unreachable() -> Verifier:
    """The public Sigstore, which no test may ask."""
    raise OSError("unreachable")


@dataclass(frozen=True)
class Case:
    """A signature, a rule, and the verdict."""

    name: str
    content: dict[str, Any]
    signed_by: str = BY_KEY
    verdict: Verdict = Verdict.INVALID
    problem: str = ""
    """A part of the detail."""
    root: str = "root.json"

    @property
    def bundle(self) -> SignatureBundle:
        """What the registry has."""
        return found(self.content)

    @property
    def release(self) -> ReleaseSpec:
        """The rule."""
        return rule(self.signed_by, self.root)


@cache
def rule(signed_by: str, root: str) -> ReleaseSpec:
    """The rule with some signers; without a root it is that of the public Sigstore."""
    trusted_root = f"trusted_root: {root}, " if root else ""
    text = f"agents: {{a: {{repository: x, release: {{{trusted_root}signed_by: [{signed_by}]}}}}}}"
    return load_agents(text.encode(), FILES.__getitem__).agents["a"].release


def keyed(**changes: Any) -> dict[str, Any]:
    """Signed with the key of the release, with another part of its envelope."""
    content = signing.bundle(statement(DIGEST))
    content["dsseEnvelope"] |= changes
    return content


def keyless(
    certificate: Certificate | None = None,
    entry: LogEntry | None = None,
    payload: bytes = statement(DIGEST),
    **more: Any,
) -> dict[str, Any]:
    return SIGSTORE.bundle(payload, certificate, entry, **more)


def person(email: str) -> Certificate:
    return Certificate((x509.RFC822Name(email),), issuer="https://accounts.example.com", source="")


def with_material(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return content | {"verificationMaterial": content["verificationMaterial"] | changes}


OTHER_WORKFLOW = (x509.UniformResourceIdentifier(WORKFLOW.replace("release.yml", "other.yml")),)
TWO_SIGNATURES = keyed()["dsseEnvelope"]["signatures"] * 2
RIGHT = [
    Case("a key", keyed()),
    Case("an RSA key", signing.bundle(statement(DIGEST), RSA_KEY), "{key: rsa.pub}"),
    Case("one digest of several", signing.bundle(statement(OTHER, DIGEST))),
    Case("a workflow", keyless(), BY_GITHUB),
    Case("an old certificate", keyless(Certificate(is_old=True)), BY_GITHUB),
    Case("a person", keyless(person("build@contoso.com")), PEOPLE),
    Case("one signer of several", keyless(), f"{BY_KEY}, {PEOPLE}, {BY_GITHUB}"),
    Case(
        "a certificate that ended after the log's time",
        keyless(entry=LogEntry(SIGNED_AT + timedelta(minutes=8))),
        BY_GITHUB,
    ),
]
OF_KEYS = [
    Case("another key", signing.bundle(statement(DIGEST), OTHER_KEY), problem="signed with another key"),
    Case(
        "a changed payload", keyed(payload=keyed()["dsseEnvelope"]["payload"][:-4]), problem="signed with another key"
    ),
    Case("another digest", signing.bundle(statement(OTHER)), problem="signs another digest"),
    Case("no subject", signing.bundle(statement(DIGEST, subject="x")), problem="signs another digest"),
    Case("no Statement", signing.bundle(statement(DIGEST, _type="x")), problem="not a Statement"),
    Case(
        "another type of payload", signing.bundle(statement(DIGEST), payload_type="text/plain"), problem="another type"
    ),
    Case("no known version", keyed() | {"mediaType": "x"}, problem="not a bundle of a version"),
    Case("two signatures", keyed(signatures=TWO_SIGNATURES), problem="not exactly one signature"),
    Case(
        "characters that are no base64", keyed(payload="%" + keyed()["dsseEnvelope"]["payload"]), problem="not base64"
    ),
    Case("no key named", keyed() | {"verificationMaterial": {}}, problem="neither a key nor a certificate"),
    Case("a key where only identities count", keyed(), BY_GITHUB, problem="signed_by names none"),
]
OF_CERTIFICATES = [
    Case("a certificate where only keys count", keyless(), BY_KEY, problem="names only keys"),
    Case(
        "a key beside the certificate", with_material(keyless(), publicKey={"hint": "x"}), BY_GITHUB, problem="or both"
    ),
    Case("another identity", keyless(Certificate(OTHER_WORKFLOW)), BY_GITHUB, problem="does not name the signer"),
    Case("a longer identity", keyless(person("build@contoso.com.evil.com")), PEOPLE),
    Case(
        "an identity with something before",
        keyless(person("re-build@contoso.com")),
        PEOPLE,
    ),
    Case("another issuer", keyless(Certificate(issuer="https://evil.example.com")), BY_GITHUB, problem="does not name"),
    Case("no issuer", keyless(Certificate(issuer="")), BY_GITHUB, problem="does not name"),
    Case(
        "a workflow that another repository calls", keyless(Certificate(source="https://github.com/evil/x")), BY_GITHUB
    ),
    Case("no source repository", keyless(Certificate(source="")), BY_GITHUB, problem="does not name"),
    Case(
        "two identities",
        keyless(Certificate((*Certificate().names, *EMAIL))),
        BY_GITHUB,
        problem="exactly one identity",
    ),
    Case(
        "no identity", keyless(Certificate((x509.DNSName("contoso.com"),))), BY_GITHUB, problem="exactly one identity"
    ),
    Case("another authority", keyless(Certificate(authority=new_key())), BY_GITHUB, problem="certificate chain"),
    Case("a root of another Sigstore", keyless(), BY_GITHUB, problem="certificate chain", root="other.json"),
    Case("no certificate log", keyless(Certificate(has_timestamp=False)), BY_GITHUB, problem="SCT"),
    Case("another certificate log", keyless(Certificate(certificate_log=new_key())), BY_GITHUB, problem="SCT"),
    Case("a certificate for servers", keyless(Certificate(usage=ExtendedKeyUsageOID.SERVER_AUTH)), BY_GITHUB),
    Case("a certificate not for signatures", keyless(Certificate(signs=False)), BY_GITHUB),
    Case("a signature with another key", keyless(key=new_key()), BY_GITHUB, problem="invalid signature"),
    Case("another digest without a key", keyless(payload=statement(OTHER)), BY_GITHUB, problem="signs another digest"),
    Case(
        "no Statement without a key",
        keyless(payload=statement(DIGEST, _type="x")),
        BY_GITHUB,
        problem="not a Statement",
    ),
]
OF_THE_LOG = [
    Case(
        "a certificate that ended before the log's time",
        keyless(entry=LogEntry(LATER)),
        BY_GITHUB,
        problem="certificate chain",
    ),
    Case("a certificate that began after the log's time", keyless(Certificate(starts=LATER)), BY_GITHUB),
    Case("no time of the log", keyless(entry=LogEntry(at=None)), BY_GITHUB, problem="inclusion promise"),
    Case("no entry", with_material(keyless(), tlogEntries=[]), BY_GITHUB, problem="exactly one log entry"),
    Case("a promise of another log", keyless(entry=LogEntry(promised_by=new_key())), BY_GITHUB, problem="SET"),
    Case(
        "a checkpoint of another log", keyless(entry=LogEntry(checkpoint_by=new_key())), BY_GITHUB, problem="checkpoint"
    ),
    Case("an entry about another payload", keyless(entry=LogEntry(payload=b"x")), BY_GITHUB, problem="does not match"),
    Case("an entry that is not in the log", keyless(entry=LogEntry(root_hash=b"0" * 32)), BY_GITHUB),
    Case("an entry of another kind", keyless(entry=LogEntry(kind="intoto")), BY_GITHUB, problem="only supported"),
    Case(
        "an entry of another bundle",
        with_material(keyless(), tlogEntries=keyless()["verificationMaterial"]["tlogEntries"]),
        BY_GITHUB,
    ),
]
UNKNOWN = [
    Case("a root of nonsense", keyless(), BY_GITHUB, Verdict.UNKNOWN, "cannot be read", root="nonsense.json"),
    Case("a public root that does not answer", keyless(), BY_GITHUB, Verdict.UNKNOWN, "unreachable", root=""),
]
CASES = [*(Case(case.name, case.content, case.signed_by, Verdict.VERIFIED, "signed by") for case in RIGHT), *OF_KEYS]
CASES += [*OF_CERTIFICATES, *OF_THE_LOG, *UNKNOWN]
