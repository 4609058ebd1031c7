"""Fixtures that the tests of the telemetry page share."""

from tests.browser.chromium import chromium, server, visit

__all__ = ["chromium", "server", "visit"]
