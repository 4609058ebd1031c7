"""Fixtures that the contract suites share."""

from tests.support.storage_servers import storage_servers

__all__ = ["storage_servers"]
