"""Reads from an image's labels the commit that it was built from; labels are anybody's text, and are read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SOURCE, REVISION = "org.opencontainers.image.source", "org.opencontainers.image.revision"
"""https://github.com/opencontainers/image-spec/blob/main/annotations.md"""
HOST = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?"
OWNER, NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", r"[A-Za-z0-9._-]{1,100}"
ADDRESS = re.compile(rf"https://(?P<host>{HOST})/(?P<repository>{OWNER}/{NAME}?)(\.git)?/?")
"""Without a user, a query or a longer path: the address is built into requests that carry a token."""
COMMIT = re.compile(r"[0-9a-f]{40}")
DOTS = ("/.", "/..")


@dataclass(frozen=True, slots=True)
class SourceCommit:
    """A commit of a repository on a Git server."""

    source: str
    """The server's host and the repository, ``github.com/owner/name``."""
    revision: str
    """40 hex digits."""

    @property
    def host(self) -> str:
        """The server."""
        return self.source.partition("/")[0]

    @property
    def repository(self) -> str:
        """Owner and name."""
        return self.source.partition("/")[2]


def from_labels(labels: Mapping[str, object]) -> SourceCommit | None:
    """The commit that the labels name; None where they name none, or in another form."""
    return source_commit(labels.get(SOURCE), labels.get(REVISION))


def source_commit(address: object, revision: object) -> SourceCommit | None:
    """A commit from the address of its repository and its hash; None unless both have exactly the form."""
    if not isinstance(address, str) or not isinstance(revision, str):
        return None
    scheme, slashes, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    match = ADDRESS.fullmatch(f"{scheme.lower()}{slashes}{host.lower()}{slash}{path}")
    if match is None or not COMMIT.fullmatch(revision) or match["repository"].endswith(DOTS):
        return None
    return SourceCommit(f"{match['host']}/{match['repository']}", revision)
