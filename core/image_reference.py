"""The grammar of image references: repositories, tags and digests (OCI), and the registry before them (Docker)."""

from __future__ import annotations

import re

REPOSITORY_PATTERN = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
"""A repository name of the OCI distribution specification."""
MAX_REPOSITORY_CHARS = 255
"""Clients limit the name to this: https://github.com/distribution/reference, NameTotalLengthMax."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
REGISTRY_ALONE = re.compile(r"(?:https?://)?([a-z0-9.-]+\.azurecr\.[a-z]{2,3})/?", re.IGNORECASE)
"""A registry of Azure without a repository. Of other hosts only the slash shows that they are one."""
ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
HOST_SUFFIXES = frozenset(
    {
        "app", "aws", "cloud", "cn", "com", "corp", "de", "dev", "eu", "internal", "io", "lan", "local", "localdomain",
        "localhost", "net", "org", "uk", "us",
    }
)  # fmt: skip
"""Last labels by which a first part with a dot is certainly a host. Docker reads every first part with a dot as one,
but a registry itself takes ``my.team/hello`` as a repository."""


def is_repository(text: str) -> bool:
    """True for a name that a registry can hold."""
    return len(text) <= MAX_REPOSITORY_CHARS and re.fullmatch(REPOSITORY_PATTERN, text) is not None


def registry_of(text: str, *, is_reference: bool) -> str:
    """The registry before a repository, or nothing.

    ``is_reference``: the text has a scheme, a tag or a digest, so that it is a whole reference and Docker's rule holds.
    """
    first, slash, _ = text.partition("/")
    last_label = first.lower().rpartition(".")[2]
    is_host = ":" in first or last_label == "localhost" or ADDRESS.fullmatch(first) is not None
    is_host = is_host or ("." in first and (is_reference or last_label in HOST_SUFFIXES))
    return first if slash and is_host else ""


def repository_of(text: str) -> str:
    """The repository of whatever a person copied: without scheme, registries, tag and digest; it may be invalid."""
    is_reference = any(mark in text for mark in ("://", "@", ":"))
    rest = text.rpartition("://")[2].partition("@")[0]
    while registry := registry_of(rest, is_reference=is_reference):
        rest, is_reference = rest.removeprefix(f"{registry}/"), False
    return rest.partition(":")[0].strip("/").lower()
