"""``release.signed_by``: who must have signed an image, and the files beside agents.yaml that prove it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import re2
from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, Tag, WithJsonSchema

from core.agents_file.fields import QUIET, Expression, quote
from core.agents_file.named_files import check_deployed
from core.agents_file.value import Value
from core.text_encoding import BOMS

FILE_PATTERN = r"^[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){0,9}$"
GITHUB_PATTERN = r"^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$"
WORKFLOW_PATTERN = r"^[A-Za-z0-9_.-]{1,100}\.ya?ml$"
REF_PATTERN = r"^(refs/[!-~]{1,250}|\*[!-~]{0,250}|[0-9a-f]{40})$"
"""A certificate has the whole ref, ``refs/heads/main``, or the commit of a reusable workflow."""
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
MAX_FILE_BYTES = 1_000_000
PUBLIC_KEY = re.compile(r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")
CURVES = ("06082a8648ce3d030107", "06052b81040022", "06052b81040023")
RSA = bytes.fromhex("06092a864886f70d010101")
ALGORITHMS = (RSA, *map(bytes.fromhex, ("06032b6570", *(f"06072a8648ce3d0201{curve}" for curve in CURVES))))
"""How keys for RSA, Ed25519 and ECDSA on P-256, P-384 and P-521 say what they are, as DER: RFC 3279, 8410 and 5480."""
MIN_RSA_BYTES = 290
"""Of a key of 2,048 bits, as DER; cosign takes no shorter one either."""
OTHER_FILES = {
    "PRIVATE KEY": "is a private key: replace it, since only the signer may have it; write its public key",
    "CERTIFICATE": "is a certificate; write its public key: openssl x509 -in FILE -pubkey -noout",
    "BEGIN RSA PUBLIC KEY": "is a key in PKCS #1; convert it: openssl rsa -RSAPublicKey_in -in FILE -pubout",
    "ssh-": "is a key of SSH; convert it: ssh-keygen -e -m PKCS8 -f FILE",
    "ecdsa-sha2-": "is a key of SSH; convert it: ssh-keygen -e -m PKCS8 -f FILE",
}
"""What a file holds that is often taken for a public key."""
PUBLIC_ISSUERS = (
    GITHUB_ISSUER,
    *("https://github.com/login/oauth", "https://accounts.google.com", "https://gitlab.com"),
    "https://any-issuer.example",
)
"""Where everybody may have an account, and one that stands for all others."""
ANYBODY = ("anybody@any-host.example", "https://github.com/any-owner/any/.github/workflows/any.yml@refs/heads/any")
TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
ReadFile = Callable[[str], bytes]
"""Reads a file beside agents.yaml, by its name in agents.yaml; raises OSError."""


def check_file(name: str) -> str:
    """The name of a file beside agents.yaml: only what is in that folder is deployed with it."""
    if not re2.search(FILE_PATTERN, name) or ".." in name.split("/"):
        raise ValueError(f"{quote(name)} is not a file beside agents.yaml; write its path from there: keys/release.pub")
    return check_deployed(name)


def _pattern(pattern: str, instead: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re2.search(pattern, text):
            raise ValueError(f"{quote(text)} is not {instead}")
        return text

    return check


FileName = Annotated[str, AfterValidator(check_file), WithJsonSchema({"type": "string", "pattern": FILE_PATTERN})]
GitHubRepository = Annotated[
    str,
    AfterValidator(_pattern(GITHUB_PATTERN, "a repository of GitHub; write owner/name")),
    WithJsonSchema({"type": "string", "pattern": GITHUB_PATTERN}),
]
Workflow = Annotated[
    str,
    AfterValidator(_pattern(WORKFLOW_PATTERN, "the file of a workflow; write its name: release.yml")),
    WithJsonSchema({"type": "string", "pattern": WORKFLOW_PATTERN}),
]
Ref = Annotated[
    str,
    AfterValidator(_pattern(REF_PATTERN, "a git ref; write refs/tags/* or refs/heads/main")),
    WithJsonSchema({"type": "string", "pattern": REF_PATTERN}),
]


class KeySigner(Value):
    """Signed with a key."""

    key: FileName = Field(description="a file beside agents.yaml with a public key in PEM: ECDSA, Ed25519 or RSA")
    _pem: bytes = PrivateAttr(b"")

    @property
    def pem(self) -> bytes:
        """The content of the file; empty where it was not read."""
        return self._pem

    def __str__(self) -> str:
        return f"key {self.key}"


class GitHubSigner(Value):
    """Signed in a workflow of GitHub Actions, without a key."""

    github: GitHubRepository = Field(description="the repository of the workflow, as `owner/name`")
    workflow: Workflow | None = Field(None, description="the file of the workflow; without it any of the repository")
    ref: Ref = Field("*", description="the git ref that the workflow ran for; `*` stands for any text")

    @property
    def identity(self) -> str:
        """An expression for the whole name of the workflow in a certificate."""
        workflow = re2.escape(self.workflow) if self.workflow else "[^/@]+"
        ref = ".*".join(re2.escape(part) for part in self.ref.split("*"))
        return f"https://github\\.com/{re2.escape(self.github)}/\\.github/workflows/{workflow}@{ref}"

    @property
    def issuer(self) -> str:
        """An expression for the issuer."""
        return str(re2.escape(GITHUB_ISSUER))

    def __str__(self) -> str:
        return f"GitHub {self.github}"


class IdentitySigner(Value):
    """Signed by a person or a workload, without a key."""

    identity: Expression = Field(description="an RE2 expression that the whole identity in the certificate must match")
    issuer: Expression = Field(description="an RE2 expression that the whole issuer of the identity must match")

    def __str__(self) -> str:
        return f"identity {self.identity}"


KeylessSigner = GitHubSigner | IdentitySigner


def matches(signer: KeylessSigner, identity: str, issuer: str) -> bool:
    """Whether a certificate's identity and issuer are those of the signer, from the first to the last character."""
    pairs = ((signer.identity, identity), (signer.issuer, issuer))
    return all(re2.fullmatch(pattern, text, QUIET) is not None for pattern, text in pairs)


def accepts_anybody(signer: IdentitySigner) -> bool:
    """Whether it accepts a signature of anybody with an account at an issuer that gives one to everybody."""
    return any(matches(signer, identity, issuer) for identity in ANYBODY for issuer in PUBLIC_ISSUERS)


def _kind(value: object) -> str | None:
    if isinstance(value, Value):
        return type(value).__name__
    by_key = {"key": "KeySigner", "github": "GitHubSigner", "identity": "IdentitySigner", "issuer": "IdentitySigner"}
    kinds = {kind for key, kind in by_key.items() if isinstance(value, dict) and key in value}
    return kinds.pop() if len(kinds) == 1 else None


Signer = Annotated[
    Annotated[KeySigner, Tag("KeySigner")]
    | Annotated[GitHubSigner, Tag("GitHubSigner")]
    | Annotated[IdentitySigner, Tag("IdentitySigner")],
    Discriminator(
        _kind,
        custom_error_type="signer",
        custom_error_message="write {key: FILE}, {github: owner/name} or {identity: …, issuer: …}",
    ),
]


class SignerFiles(NamedTuple):
    """What the files say that a rule names."""

    signers: tuple[Signer, ...]
    root: bytes
    issues: tuple[tuple[tuple[str, ...], str], ...]
    """Below ``release``: where, and what is wrong."""


def read_files(signed_by: tuple[Signer, ...], trusted_root: str | None, read_file: ReadFile) -> SignerFiles:
    """The signers with their keys, and the trusted root."""
    filled, root, issues = list[Signer](), b"", list[tuple[tuple[str, ...], str]]()
    for number, signer in enumerate(signed_by):
        with_key, problem = read_key(signer, read_file) if isinstance(signer, KeySigner) else (signer, "")
        filled.append(with_key)
        if problem:
            issues.append((("signed_by", str(number), "key"), problem))
    if trusted_root is not None:
        root, problem = read_root(trusted_root, read_file)
        issues += [(("trusted_root",), f"{trusted_root} {problem}")] if problem else []
    return SignerFiles(tuple(filled), root, tuple(issues))


def read(name: str, read_file: ReadFile) -> tuple[bytes, str]:
    """The content of a file beside agents.yaml, and why there is none."""
    try:
        return read_file(name), ""
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"


def read_key(signer: KeySigner, read_file: ReadFile) -> tuple[KeySigner, str]:
    """The signer with its key, and what is wrong with the file."""
    pem, unread = read(signer.key, read_file)
    filled = signer.model_copy()
    filled._pem = pem
    missing = f"{unread}; write the public key there: cosign public-key --key KEY > {signer.key}" if unread else ""
    problem = missing or next(_key_problems(pem), "")
    return filled, f"{signer.key} {problem}" if problem else ""


def _key_problems(pem: bytes) -> Iterator[str]:
    text = pem[:MAX_FILE_BYTES].decode("ascii", "replace")
    match = PUBLIC_KEY.fullmatch(text)
    if not text.strip():
        yield "is empty; write a public key in PEM"
    elif any(pem.startswith(bom) for bom, _ in BOMS):
        yield "has a byte order mark, as PowerShell writes it; save the file as UTF-8 without one"
    elif other := next((problem for mark, problem in OTHER_FILES.items() if mark in text), ""):
        yield other
    elif match is None:
        yield "is not one public key in PEM, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
    elif not _is_known_key(_decoded(match[1])):
        yield "is not a key for ECDSA on P-256, P-384 or P-521, for Ed25519, or for RSA of at least 2,048 bits"


def _is_known_key(der: bytes) -> bool:
    """Whether a key is whole, and one that signatures are verified with."""
    count = der[1] & 0x7F if der[1:2] > b"\x80" else 0  # of the bytes of the length, where it takes more than one
    length = int.from_bytes(der[2 : 2 + count] if count else der[1:2])
    is_long_enough = RSA not in der[:40] or len(der) >= MIN_RSA_BYTES
    return len(der) == 2 + count + length and is_long_enough and any(oid in der[:40] for oid in ALGORITHMS)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return b""


def read_root(name: str, read_file: ReadFile) -> tuple[bytes, str]:
    """The trusted root of a Sigstore of one's own, and what is wrong with the file."""
    data, unread = read(name, read_file)
    if unread:
        return b"", unread
    try:
        root = json.loads(data)
    except (ValueError, RecursionError):
        return b"", "is not JSON"
    if not isinstance(root, dict) or root.get("mediaType") != TRUSTED_ROOT:
        return b"", f"is not a trusted root of Sigstore: its mediaType must be {TRUSTED_ROOT}"
    return data, "" if root.get("tlogs") else "names no transparency log; a root without one proves no time"
