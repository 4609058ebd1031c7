"""Blobs, leases and queue messages in one SQLite file, which survives a kill of the process."""

from __future__ import annotations

import itertools
import json
import sqlite3
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


class StorageError(Exception):
    """An error response of the service."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Blob:
    """A blob with its lease."""

    data: bytes
    kind: str
    metadata: dict[str, str]
    etag: str
    modified: float
    blocks: int = 0
    lease: str = ""
    lease_seconds: int = 0
    lease_until: float = 0.0
    written_since_lease: bool = False

    def leased(self, now: float) -> bool:
        """Return whether a client holds the lease."""
        return bool(self.lease) and (self.lease_seconds < 0 or now < self.lease_until)


@dataclass
class Message:
    """A queue message."""

    text: str
    inserted: float
    expires: float
    visible: float
    dequeued: int = 0
    receipt: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Store:
    """The account's content; every write reaches the file before the response."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self._file = sqlite3.connect(folder / "storage.sqlite", isolation_level=None)
        # NORMAL in WAL mode survives a kill of the process; only a crash of the machine could lose a write
        self._file.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS blobs"
            "(container TEXT, name TEXT, data BLOB, rest TEXT, PRIMARY KEY(container, name));"
            "CREATE TABLE IF NOT EXISTS containers(name TEXT PRIMARY KEY);"
            "CREATE TABLE IF NOT EXISTS queues(name TEXT PRIMARY KEY);"
            "CREATE TABLE IF NOT EXISTS messages(id TEXT PRIMARY KEY, queue TEXT, rest TEXT);"
        )
        self._etags = itertools.count(int(clock() * 1e6))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # Containers and blobs

    def create_container(self, name: str) -> None:
        """Create a container; raise 409 if it exists."""
        self._insert("containers", name, "ContainerAlreadyExists")

    def need_container(self, name: str) -> None:
        """Raise 404 if the container does not exist."""
        self._need("containers", name, "ContainerNotFound")

    def blob(self, container: str, name: str) -> Blob | None:
        """Return the blob, or None; raise 404 if the container does not exist."""
        self.need_container(container)
        row = self._file.execute(
            "SELECT data, rest FROM blobs WHERE container=? AND name=?", (container, name)
        ).fetchone()
        return Blob(data=row[0], **json.loads(row[1])) if row else None

    def need_blob(self, container: str, name: str) -> Blob:
        """Return the blob; raise 404 if it does not exist."""
        blob = self.blob(container, name)
        if blob is None:
            raise StorageError(404, "BlobNotFound")
        return blob

    def save(self, container: str, name: str, blob: Blob, *, touch: bool = True) -> None:
        """Store the blob; ``touch`` gives it a new ETag and time."""
        if touch:
            blob.etag, blob.modified, blob.written_since_lease = f'"0x{next(self._etags):X}"', self.clock(), True
        rest = {key: value for key, value in asdict(blob).items() if key != "data"}
        self._file.execute("REPLACE INTO blobs VALUES(?,?,?,?)", (container, name, blob.data, json.dumps(rest)))

    def delete_blob(self, container: str, name: str) -> None:
        """Remove the blob."""
        self._file.execute("DELETE FROM blobs WHERE container=? AND name=?", (container, name))

    def list_blobs(self, container: str, prefix: str) -> list[tuple[str, Blob]]:
        """Return names and blobs, sorted by name."""
        self.need_container(container)
        query = "SELECT name, data, rest FROM blobs WHERE container=? AND substr(name, 1, ?)=? ORDER BY name"
        rows = self._file.execute(query, (container, len(prefix), prefix))
        return [(name, Blob(data=data, **json.loads(rest))) for name, data, rest in rows]

    # Queues

    def create_queue(self, name: str) -> None:
        """Create a queue; raise 409 if it exists."""
        self._insert("queues", name, "QueueAlreadyExists")

    def list_queues(self, prefix: str) -> list[str]:
        """Return the names of the queues, sorted."""
        query = "SELECT name FROM queues WHERE substr(name, 1, ?)=? ORDER BY name"
        return [name for (name,) in self._file.execute(query, (len(prefix), prefix))]

    def messages(self, queue: str) -> list[Message]:
        """Return the messages that have not expired, oldest first; raise 404 if the queue does not exist."""
        self._need("queues", queue, "QueueNotFound")
        rows = self._file.execute("SELECT rest FROM messages WHERE queue=?", (queue,))
        messages = [Message(**json.loads(rest)) for (rest,) in rows]
        current = [message for message in messages if message.expires > self.clock()]
        return sorted(current, key=lambda message: (message.visible, message.inserted))

    def message(self, queue: str, message_id: str, receipt: str) -> Message:
        """Return the message; raise 404 if it is gone, 400 if another client received it since."""
        message = next((message for message in self.messages(queue) if message.id == message_id), None)
        if message is None:
            raise StorageError(404, "MessageNotFound")
        if message.receipt != receipt:
            raise StorageError(400, "PopReceiptMismatch")
        return message

    def save_message(self, queue: str, message: Message) -> None:
        """Store the message under a new receipt."""
        message.receipt = uuid.uuid4().hex
        self._file.execute("REPLACE INTO messages VALUES(?,?,?)", (message.id, queue, json.dumps(asdict(message))))

    def delete_message(self, message_id: str) -> None:
        """Remove the message."""
        self._file.execute("DELETE FROM messages WHERE id=?", (message_id,))

    def clear(self, queue: str) -> None:
        """Remove every message of a queue."""
        self._file.execute("DELETE FROM messages WHERE queue=?", (queue,))

    def _insert(self, table: str, name: str, exists_code: str) -> None:
        try:
            self._file.execute(f"INSERT INTO {table} VALUES(?)", (name,))
        except sqlite3.IntegrityError as error:
            raise StorageError(409, exists_code) from error

    def _need(self, table: str, name: str, missing_code: str) -> None:
        row: Any = self._file.execute(f"SELECT 1 FROM {table} WHERE name=?", (name,)).fetchone()  # noqa: S608
        if row is None:
            raise StorageError(404, missing_code)
