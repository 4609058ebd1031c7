"""Decides whether a write to a blob is allowed: conditions and leases, as in Azure's tables of lease outcomes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from local.storage.store import Blob, StorageError


def allow_write(headers: Mapping[str, str], blob: Blob | None, now: float, exists: str = "ConditionNotMet") -> None:
    """Raise the service's error if a write is not allowed."""
    if headers.get("If-None-Match") == "*" and blob is not None:
        raise StorageError(409, exists)
    if "If-Match" in headers and (blob is None or headers["If-Match"] not in (blob.etag, "*")):
        raise StorageError(412, "ConditionNotMet")
    _allow_lease(headers.get("x-ms-lease-id"), blob, now)


def _allow_lease(lease: str | None, blob: Blob | None, now: float) -> None:
    if blob is not None and blob.leased(now):
        if lease != blob.lease:
            raise StorageError(412, "LeaseIdMismatchWithBlobOperation" if lease else "LeaseIdMissing")
    elif lease is not None:
        raise StorageError(412, "LeaseLost" if blob and blob.lease else "LeaseNotPresentWithBlobOperation")


def acquire(headers: Mapping[str, str], blob: Blob, now: float) -> None:
    """Take the lease; raise 409 while another client holds it."""
    lease = headers.get("x-ms-proposed-lease-id") or str(uuid.uuid4())
    if blob.leased(now) and lease != blob.lease:
        raise StorageError(409, "LeaseAlreadyPresent")
    seconds = int(headers.get("x-ms-lease-duration", "-1"))
    if not (seconds == -1 or 15 <= seconds <= 60):
        raise StorageError(400, "InvalidHeaderValue")
    blob.lease, blob.lease_seconds = lease, seconds
    _begin(blob, now)


def renew(headers: Mapping[str, str], blob: Blob, now: float) -> None:
    """Extend the lease, also an expired one, unless the blob was written or leased since."""
    _need_holder(headers, blob)
    if not blob.leased(now) and blob.written_since_lease:
        raise StorageError(409, "LeaseIdMismatchWithLeaseOperation")
    _begin(blob, now)


def release(headers: Mapping[str, str], blob: Blob, now: float) -> None:
    """Release the lease."""
    _need_holder(headers, blob)
    blob.lease = ""


def break_lease(headers: Mapping[str, str], blob: Blob, now: float) -> None:
    """End any client's lease at once."""
    blob.lease = ""


ACTIONS = {"acquire": (201, acquire), "renew": (200, renew), "release": (200, release), "break": (202, break_lease)}


def _begin(blob: Blob, now: float) -> None:
    blob.lease_until, blob.written_since_lease = now + blob.lease_seconds, False


def _need_holder(headers: Mapping[str, str], blob: Blob) -> None:
    if not blob.lease or headers.get("x-ms-lease-id") != blob.lease:
        raise StorageError(409, "LeaseIdMismatchWithLeaseOperation")
