"""A temporary certificate authority for the stand-ins whose SDKs require TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """An authority and a certificate for 127.0.0.1 and localhost; clients trust ``ca``, a PEM file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        self.ca = folder / "ca.pem"
        self.server_pem = folder / "server.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(self.server_pem))

    def server(self) -> ssl.SSLContext:
        """Return the TLS context of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_pem)
        return context

    def client(self) -> ssl.SSLContext:
        """Return the TLS context of a client."""
        return ssl.create_default_context(cafile=str(self.ca))
