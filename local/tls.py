"""A temporary certificate authority for the stand-ins whose SDKs require TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from local.private_files import make_private, write_private


class Authority:
    """An authority and a certificate for 127.0.0.1 and localhost; clients trust ``ca``, a PEM file."""

    def __init__(self, folder: Path) -> None:
        make_private(folder)
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        self.ca = folder / "ca.pem"
        self.server_pem = folder / "server.pem"
        write_private(self.ca, authority.cert_pem.bytes())
        write_private(self.server_pem, certificate.private_key_and_cert_chain_pem.bytes())

    def server(self) -> ssl.SSLContext:
        """Return the TLS context of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_pem)
        return context

    def client(self) -> ssl.SSLContext:
        """Return the TLS context of a client."""
        return ssl.create_default_context(cafile=str(self.ca))
