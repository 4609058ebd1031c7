"""Tests for ``release.signed_by``: its forms, its files, and how defaults and agents add up."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from core.agents_file.loader import AgentsFileError, load_agents, warnings
from core.agents_file.signers import GitHubSigner, IdentitySigner, KeySigner, matches
from core.agents_file.spec import ReleaseSpec
from local.signing import public_pem
from tests.support.signing import RELEASE_KEY

PRIVATE = RELEASE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
RSA_KEY = rsa.generate_private_key(65537, 2048).public_key()
AGREEMENT = x25519.X25519PrivateKey.generate().public_key()
ROOT = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [{}]}
FILES = {
    "keys/release.pub": public_pem(RELEASE_KEY),
    "empty": b" \n",
    "private": PRIVATE,
    "encrypted": b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n",
    "certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "two": public_pem(RELEASE_KEY) * 2,
    "nonsense": b"\xff\x00",
    "broken": b"-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n",
    "agreement": AGREEMENT.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "mark": codecs.BOM_UTF8 + public_pem(RELEASE_KEY),
    "utf-16": public_pem(RELEASE_KEY).decode().encode("utf-16"),
    "pkcs1": RSA_KEY.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    "ssh": RSA_KEY.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "short": public_pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - refused for that
    "curve": public_pem(ec.generate_private_key(ec.SECP256K1())),
    "cut": b"\n".join([*public_pem(RELEASE_KEY).splitlines()[:2], b"-----END PUBLIC KEY-----"]),
    "root.json": json.dumps(ROOT).encode(),
    "no-log.json": json.dumps(ROOT | {"tlogs": []}).encode(),
    "other.json": b'{"mediaType": "text/plain"}',
    "list.json": b"[]",
}
WORKFLOW = "https://github.com/contoso/support-agent/.github/workflows/release.yml@refs/tags/v1"
ISSUER = "https://token.actions.githubusercontent.com"


def read(name: str) -> bytes:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory", name)
    return FILES[name]


def load(release: str, defaults: str = "") -> Any:
    text = f"{{defaults: {{release: {{{defaults}}}}}, agents: {{a: {{repository: x, release: {{{release}}}}}}}}}"
    return load_agents(text.encode(), read).agents["a"].release


def issues(release: str, defaults: str = "") -> str:
    with pytest.raises(AgentsFileError) as refused:
        load(release, defaults)
    return str(refused.value)


def test_the_three_forms_of_a_signer() -> None:
    signers = load(
        "signed_by: [{key: keys/release.pub}, {github: contoso/support-agent}, {identity: 'a@b', issuer: c}]"
    ).signed_by
    assert [str(signer) for signer in signers] == [
        "key keys/release.pub",
        "GitHub contoso/support-agent",
        "identity a@b",
    ]
    assert isinstance(signers[0], KeySigner)
    assert signers[0].pem == FILES["keys/release.pub"]


def test_a_signer_in_code_is_a_signer() -> None:
    signer = IdentitySigner(identity="a", issuer="b")
    assert ReleaseSpec(signed_by=(signer,)).signed_by == (signer,)


def test_without_the_key_nobody_must_sign() -> None:
    assert load("mode: auto").signed_by == ()


def test_an_agent_adds_signers_and_only_an_empty_list_takes_them_away() -> None:
    shared = "signed_by: [{github: contoso/support-agent}]"
    assert len(load("mode: auto", shared).signed_by) == 1
    assert len(load("signed_by: [{key: keys/release.pub}]", shared).signed_by) == 2
    assert load("signed_by: []", shared).signed_by == ()
    assert "has no value" in issues("signed_by: null", shared)


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()])
def test_keys_for_rsa_and_ed25519_are_keys_too(key: Any) -> None:
    text = b"agents: {a: {repository: x, release: {signed_by: [{key: k}]}}}"
    assert load_agents(text, lambda _: public_pem(key)).agents


def test_a_key_for_p384_is_a_key_too() -> None:
    text = b"agents: {a: {repository: x, release: {signed_by: [{key: k}]}}}"
    assert load_agents(text, lambda _: public_pem(ec.generate_private_key(ec.SECP384R1()))).agents


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing", "missing cannot be read: No such file or directory; write the public key there: cosign public-key"),
        ("empty", "empty is empty; write a public key in PEM"),
        ("private", "private is a private key: replace it"),
        ("encrypted", "encrypted is a private key: replace it"),
        ("certificate", "certificate is a certificate; write its public key"),
        ("two", "two is not one public key in PEM"),
        ("nonsense", "nonsense is not one public key in PEM"),
        ("mark", "mark has a byte order mark, as PowerShell writes it; save the file as UTF-8 without one"),
        ("utf-16", "utf-16 has a byte order mark"),
        ("pkcs1", "pkcs1 is a key in PKCS #1; convert it: openssl rsa"),
        ("ssh", "ssh is a key of SSH; convert it: ssh-keygen"),
        ("short", "short is not a key for ECDSA on P-256, P-384 or P-521, for Ed25519, or for RSA of at least 2,048"),
        ("curve", "curve is not a key for ECDSA"),
        ("cut", "cut is not a key for ECDSA"),
        ("broken", "broken is not a key for ECDSA"),
        ("agreement", "agreement is not a key for ECDSA"),
    ],
)
def test_a_file_that_is_not_a_public_key_is_a_mistake(name: str, problem: str) -> None:
    assert f"agents.a.release.signed_by.0.key, line 1: {problem}" in issues(f"signed_by: [{{key: {name}}}]")


def test_the_file_of_the_defaults_is_a_mistake_of_the_defaults() -> None:
    found = issues("signed_by: [{key: keys/release.pub}]", "signed_by: [{key: keys/release.pub}, {key: empty}]")
    assert found == "agents.yaml: defaults.release.signed_by.1.key, line 1: empty is empty; write a public key in PEM"


@pytest.mark.parametrize("name", ["/etc/passwd", "../key.pub", "keys/../../key.pub", "a\\\\b", "''", "C:/key", "a//b"])
def test_a_file_is_beside_agents_yaml(name: str) -> None:
    assert "is not a file beside agents.yaml" in issues(f"signed_by: [{{key: {name}}}]")


@pytest.mark.parametrize(
    ("release", "problem"),
    [
        ("signed_by: {key: keys/release.pub}", "signed_by, line 1: expected a list, found a map"),
        ("signed_by: [keys/release.pub]", "signed_by.0, line 1: write {key: FILE}, {github: owner/name}"),
        ("signed_by: [{}]", "signed_by.0, line 1: write {key: FILE}"),
        ("signed_by: [{key: a, issuer: b}]", "signed_by.0, line 1: write {key: FILE}"),
        ("signed_by: [{issuer: b}]", "signed_by.0.identity, line 1: is missing"),
        ("signed_by: [{identity: '(', issuer: b}]", "signed_by.0.identity, line 1: '(' is not an RE2 expression"),
        ("signed_by: [{github: contoso}]", "signed_by.0.github, line 1: 'contoso' is not a repository of GitHub"),
        ("signed_by: [{github: a/b, workflow: x/y.yml}]", "'x/y.yml' is not the file of a workflow"),
        *((f"signed_by: [{{github: a/b, ref: '{ref}'}}]", f"'{ref}' is not a git ref") for ref in ("", "main", "v*")),
        ("signed_by: [{key: tests/release.pub}]", "'tests/release.pub' is not deployed: .funcignore leaves tests out"),
        ("trusted_root: .sigstore/root.json", "'.sigstore/root.json' is not deployed"),
        ("signed_by: [{github: a/b, worklow: x.yml}]", "unknown key; did you mean workflow?"),
        ("trusted_root: missing.json", "trusted_root, line 1: missing.json cannot be read"),
        ("trusted_root: nonsense", "nonsense is not JSON"),
        ("trusted_root: other.json", "other.json is not a trusted root of Sigstore"),
        ("trusted_root: list.json", "list.json is not a trusted root of Sigstore"),
        ("trusted_root: no-log.json", "no-log.json names no transparency log"),
    ],
)
def test_a_mistake_is_named(release: str, problem: str) -> None:
    assert problem in issues(release)


@pytest.mark.parametrize(
    ("identity", "issuer", "is_open"),
    [
        (".*", ".*", True),
        (".+@.+", "https://accounts.google.com", True),
        ("https://github.com/.*", "https://token.actions.githubusercontent.com", True),
        (".*", "https://login.*|https://g.*", True),
        ("https://github.com/contoso/.*", ".*", False),
        (".*", "https://login.contoso.com", False),
    ],
)
def test_an_identity_of_anybody_is_probably_not_meant(identity: str, issuer: str, is_open: bool) -> None:
    text = f"agents: {{a: {{repository: x, release: {{signed_by: [{{identity: '{identity}', issuer: '{issuer}'}}]}}}}}}"
    found = [*warnings(load_agents(text.encode()))]
    place = "agents.a.release.signed_by.0.identity: accepts a signature of anybody"
    assert [message.startswith(place) for message in found] == [True] * is_open


def test_a_trusted_root_is_read() -> None:
    assert load("trusted_root: root.json").root == FILES["root.json"]


def test_without_a_reader_a_key_file_is_a_mistake() -> None:
    with pytest.raises(AgentsFileError, match="no file is read here"):
        load_agents(b"agents: {a: {repository: x, release: {signed_by: [{key: k}]}}}")


@pytest.mark.parametrize(
    ("signer", "is_named"),
    [
        ({"github": "contoso/support-agent"}, True),
        ({"github": "contoso/support-agent", "workflow": "release.yml", "ref": "refs/tags/*"}, True),
        ({"github": "contoso/support-agent", "ref": "refs/*/v1"}, True),
        ({"github": "contoso/support-agent", "workflow": "elease.yml"}, False),
        ({"github": "contoso/support-agent", "ref": "refs/tags/v"}, False),
        ({"github": "contoso/support-agent", "ref": "refs/heads/*"}, False),
        ({"github": "contoso/support"}, False),
        ({"github": "ontoso/support-agent"}, False),
    ],
)
def test_a_workflow_is_compared_as_a_whole(signer: dict[str, str], is_named: bool) -> None:
    assert matches(GitHubSigner(**signer), WORKFLOW, ISSUER) is is_named
    assert not matches(GitHubSigner(**signer), WORKFLOW, f"{ISSUER}.evil.com")
    assert not matches(GitHubSigner(**signer), f"https://evil.com/?{WORKFLOW}", ISSUER)
    assert not matches(GitHubSigner(**signer), WORKFLOW, ISSUER.replace(".", "x"))


@pytest.mark.parametrize(
    ("identity", "issuer", "is_named"),
    [
        (r"build@contoso\.com", "https://accounts.google.com", True),
        ("build@contoso.com|x", "https://.*", True),
        ("build@contoso", "https://.*", False),
        ("uild@contoso.com", "https://.*", False),
        ("build@contoso.com", "accounts", False),
        ("x|build@contoso", "https://.*", False),
    ],
)
def test_an_identity_is_compared_as_a_whole(identity: str, issuer: str, is_named: bool) -> None:
    signer = IdentitySigner(identity=identity, issuer=issuer)
    assert matches(signer, "build@contoso.com", "https://accounts.google.com") is is_named
