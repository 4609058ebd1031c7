"""Images for the tests of agents as processes: small programs, and archives that an attacker would build."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from typing import Any

from local.images import OCI, Artifact
from local.registry.repository import digest_of

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readiness" else 404); self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200); self.end_headers(); self.wfile.write(self.path.encode() + b" " + body)
    def log_message(self, *_): pass
PORT = int(os.environ["PORT"])
def serve(port=PORT):
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""The beginning of a program that answers /readiness once it calls ``serve``."""


def file_entry(name: str, content: bytes = b"", mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    return entry, content


def other_entry(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry, b""


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry, content in entries:
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def program(source: str) -> bytes:
    return archive(file_entry("app/main.py", source.encode()))


def image(
    *layers: bytes,
    command: Sequence[str] | None = ("python", "/app/main.py"),
    stated_size: int | None = None,
    **more: Any,
) -> Artifact:
    """An image of these layers as they are; ``more`` are members of its configuration's ``config``."""
    section = {"Cmd": list(command), **more} if command is not None else more
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": section}).encode()
    descriptors = [
        {
            "mediaType": f"{OCI}.layer.v1.tar+gzip",
            "digest": digest_of(layer),
            "size": len(layer) if stated_size is None else stated_size,
        }
        for layer in layers
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {"mediaType": f"{OCI}.config.v1+json", "digest": digest_of(config), "size": len(config)},
        "layers": descriptors,
    }
    return Artifact(f"{OCI}.manifest.v1+json", json.dumps(manifest).encode(), [config, *layers])


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
