"""Fixtures that the contract suites share."""

from tests.contract.storage_servers import storage_servers

__all__ = ["storage_servers"]
