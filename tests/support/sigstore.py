"""A little Sigstore: its certificate authority, its two logs, and the bundles that people sign with it, without a key.

Each part of a bundle can be made wrong by itself. All times are fixed, so that no test depends on the clock.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from sigstore.verify import Verifier

from core.agents_file.signers import GITHUB_ISSUER, TRUSTED_ROOT
from local.signing import BUNDLE_TYPE, PAYLOAD_TYPE, base64_text, pae, sign

Key = ec.EllipticCurvePrivateKey
REPOSITORY = "https://github.com/contoso/support"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1"
SIGNED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CERTIFICATE_FOR = timedelta(minutes=10)
AUTHORITY_FROM, AUTHORITY_TO = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
ISSUER_TEXT, ISSUER_DER, SOURCE = (f"1.3.6.1.4.1.57264.1.{number}" for number in (1, 8, 12))
TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ORIGIN = "log.example.com - 1"


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def public_der(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Key) -> bytes:
    """The id of a log with the key."""
    return hashlib.sha256(public_der(key)).digest()


def der_text(text: str) -> bytes:
    """A UTF8String."""
    data = text.encode()
    size = bytes([len(data)]) if len(data) < 0x80 else bytes([0x81, len(data)])
    return b"\x0c" + size + data


@dataclass
class Certificate:
    """What a certificate says, and which keys sign for it."""

    names: tuple[x509.GeneralName, ...] = (x509.UniformResourceIdentifier(WORKFLOW),)
    issuer: str = GITHUB_ISSUER
    source: str = REPOSITORY
    is_old: bool = False
    """Names its issuer as old certificates do."""
    usage: ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING
    signs: bool = True
    """May make digital signatures."""
    starts: datetime = SIGNED_AT - timedelta(minutes=1)
    authority: Key | None = None
    certificate_log: Key | None = None
    has_timestamp: bool = True


@dataclass
class LogEntry:
    """What the transparency log says, and which keys sign for it."""

    at: datetime | None = SIGNED_AT
    promised_by: Key | None = None
    checkpoint_by: Key | None = None
    payload: bytes | None = None
    """Another payload than that of the bundle."""
    root_hash: bytes | None = None
    kind: str = "dsse"


@dataclass
class Sigstore:
    """The keys of its services, and their trusted root."""

    authority: Key = field(default_factory=new_key)
    certificate_log: Key = field(default_factory=new_key)
    log: Key = field(default_factory=new_key)

    @property
    def root(self) -> bytes:
        """The trusted root, as ``trusted_root`` of agents.yaml names it."""
        chain = {"certificates": [{"rawBytes": base64_text(self._authority_certificate())}]}
        authority = {"subject": {"organization": "example", "commonName": "ca"}, "uri": "https://ca.example.com",
                     "certChain": chain, "validFor": {"start": AUTHORITY_FROM.isoformat()}}  # fmt: skip
        logs = {"tlogs": [_log(self.log)], "ctlogs": [_log(self.certificate_log)]}
        content = {"mediaType": TRUSTED_ROOT, "certificateAuthorities": [authority], **logs}
        return json.dumps(content | {"timestampAuthorities": []}).encode()

    @property
    def verifier(self) -> Verifier:
        from sigstore.models import TrustedRoot
        from sigstore_models.trustroot.v1 import TrustedRoot as Content

        return Verifier(trusted_root=TrustedRoot(Content.from_json(self.root)))

    def bundle(
        self,
        payload: bytes,
        certificate: Certificate | None = None,
        entry: LogEntry | None = None,
        key: Key | None = None,
    ) -> dict[str, Any]:
        """What the holder of a certificate signed; ``key``: with another key than that of the certificate."""
        holder = new_key()
        data = self._certificate(certificate or Certificate(), holder)
        signature = sign(key or holder, pae(payload))
        return {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {
                "certificate": {"rawBytes": base64_text(data)},
                "tlogEntries": [self._entry(entry or LogEntry(), payload, signature, data)],
            },
            "dsseEnvelope": {
                "payload": base64_text(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64_text(signature)}],
            },
        }

    def _authority_certificate(self) -> bytes:
        extensions = [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (_usage(certificates=True), True),
            (x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key()), False),
        ]
        builder = _builder("ca", self.authority, AUTHORITY_FROM, AUTHORITY_TO, extensions)
        return builder.sign(self.authority, hashes.SHA256()).public_bytes(Encoding.DER)

    def _certificate(self, content: Certificate, holder: Key) -> bytes:
        """A certificate with the timestamp of the certificate log, which is over the certificate without it."""
        issuer = (
            [(ISSUER_TEXT, content.issuer.encode())] if content.is_old else [(ISSUER_DER, der_text(content.issuer))]
        )
        more = [*issuer, *([(SOURCE, der_text(content.source))] if content.source else [])]
        extensions = [
            (_usage(signatures=content.signs), True),
            (x509.ExtendedKeyUsage([content.usage]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()), False),
            (x509.SubjectAlternativeName(content.names), True),
            *((x509.UnrecognizedExtension(ObjectIdentifier(oid), value), False) for oid, value in more),
        ]
        authority = content.authority or self.authority
        builder = _builder("holder", holder, content.starts, content.starts + CERTIFICATE_FOR, extensions)
        unlogged = builder.sign(authority, hashes.SHA256())
        if not content.has_timestamp:
            return unlogged.public_bytes(Encoding.DER)
        stamp = self._timestamp(unlogged.tbs_certificate_bytes, content)
        logged = builder.add_extension(x509.UnrecognizedExtension(TIMESTAMPS, stamp), critical=False)
        return logged.sign(authority, hashes.SHA256()).public_bytes(Encoding.DER)

    def _timestamp(self, certificate: bytes, content: Certificate) -> bytes:
        """The list with the one timestamp that the log of certificates signs (RFC 6962, 3.2 and 3.3)."""
        log, at = content.certificate_log or self.certificate_log, int(content.starts.timestamp() * 1000)
        entry = key_id(self.authority) + len(certificate).to_bytes(3, "big") + certificate
        signature = sign(log, struct.pack("!BBQH", 0, 0, at, 1) + entry + b"\0\0")
        stamp = b"\0" + key_id(log) + struct.pack("!QHBBH", at, 0, 4, 3, len(signature)) + signature
        stamps = struct.pack("!HH", len(stamp) + 2, len(stamp)) + stamp
        return b"\x04" + (bytes([len(stamps)]) if len(stamps) < 0x80 else bytes([0x81, len(stamps)])) + stamps

    def _entry(self, entry: LogEntry, payload: bytes, signature: bytes, certificate: bytes) -> dict[str, Any]:
        pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
        logged = hashlib.sha256(entry.payload or payload).hexdigest()
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
            "payloadHash": {"algorithm": "sha256", "value": logged},
            "signatures": [{"signature": base64_text(signature), "verifier": base64_text(pem)}],
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": entry.kind, "spec": spec}).encode()
        found = {
            "logIndex": "0",
            "logId": {"keyId": base64_text(key_id(self.log))},
            "kindVersion": {"kind": entry.kind, "version": "0.0.1"},
            "inclusionProof": self._proof(entry, body),
            "canonicalizedBody": base64_text(body),
        }
        if entry.at is None:
            return found
        at = int(entry.at.timestamp())
        promised = {"body": base64_text(body), "integratedTime": at, "logID": key_id(self.log).hex(), "logIndex": 0}
        text = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
        promise = {"signedEntryTimestamp": base64_text(sign(entry.promised_by or self.log, text))}
        return found | {"integratedTime": str(at), "inclusionPromise": promise}

    def _proof(self, entry: LogEntry, body: bytes) -> dict[str, Any]:
        """The proof that the body is the only entry of the log."""
        root_hash = entry.root_hash or hashlib.sha256(b"\0" + body).digest()
        note = f"{ORIGIN}\n1\n{base64_text(root_hash)}\n"
        signature = key_id(self.log)[:4] + sign(entry.checkpoint_by or self.log, note.encode())
        checkpoint = f"{note}\n\u2014 log.example.com {base64_text(signature)}\n"
        return {"logIndex": "0", "rootHash": base64_text(root_hash), "treeSize": "1", "hashes": [],
                "checkpoint": {"envelope": checkpoint}}  # fmt: skip


def _log(key: Key) -> dict[str, Any]:
    public = {"rawBytes": base64_text(public_der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
              "validFor": {"start": AUTHORITY_FROM.isoformat()}}  # fmt: skip
    return {"baseUrl": "https://log.example.com", "hashAlgorithm": "SHA2_256", "publicKey": public,
            "logId": {"keyId": base64_text(key_id(key))}}  # fmt: skip


def _builder(
    name: str, key: Key, starts: datetime, ends: datetime, extensions: list[tuple[x509.ExtensionType, bool]]
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([] if name == "holder" else [x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(starts)
        .not_valid_after(ends)
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return builder


def _usage(*, signatures: bool = False, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signatures,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=not signatures and not certificates,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
