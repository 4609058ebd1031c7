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
from core.agents_file.value import Value

FILE_PATTERN = r"^[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){0,9}$"
GITHUB_PATTERN = r"^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$"
WORKFLOW_PATTERN = r"^[A-Za-z0-9_.-]{1,100}\.ya?ml$"
REF_PATTERN = r"^[!-~]{1,255}$"
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
MAX_FILE_BYTES = 1_000_000
PUBLIC_KEY = re.compile(r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")
ALGORITHMS = tuple(bytes.fromhex(oid) for oid in ("06072a8648ce3d0201", "06032b6570", "06092a864886f70d010101"))
"""How keys for ECDSA, Ed25519 and RSA say what they are: RFC 5480, RFC 8410 and RFC 3279, as DER."""
TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
ReadFile = Callable[[str], bytes]
"""Reads a file beside agents.yaml, by its name in agents.yaml; raises OSError."""


def check_file(name: str) -> str:
    """The name of a file beside agents.yaml: only what is in that folder is deployed with it."""
    if not re2.search(FILE_PATTERN, name) or ".." in name.split("/"):
        raise ValueError(f"{quote(name)} is not a file beside agents.yaml; write its path from there: keys/release.pub")
    return name


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
    elif "PRIVATE KEY" in text:
        yield "is a private key: replace it, since it must be nowhere but with whoever signs; write its public key"
    elif "CERTIFICATE" in text:
        yield "is a certificate; write its public key: openssl x509 -in FILE -pubkey -noout"
    elif match is None:
        yield "is not one public key in PEM, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
    elif not any(oid in _decoded(match[1])[:40] for oid in ALGORITHMS):
        yield "is not a key for ECDSA, Ed25519 or RSA"


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
