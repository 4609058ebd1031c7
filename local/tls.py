"""A throw-away certificate authority for the stand-ins whose SDKs insist on TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """One authority and one certificate for 127.0.0.1 and localhost; a client trusts ``ca`` (a PEM file)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1", "localhost")
        self.ca = folder / "ca.pem"
        self.server_pem = folder / "server.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        leaf.private_key_and_cert_chain_pem.write_to_path(str(self.server_pem))

    def server(self) -> ssl.SSLContext:
        """What a server needs to be trusted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_pem)
        return context

    def client(self) -> ssl.SSLContext:
        """What a client needs to trust it."""
        return ssl.create_default_context(cafile=str(self.ca))
