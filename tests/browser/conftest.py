"""Fixtures that the tests of the page share."""

from tests.browser.chromium import at, chromium, served

__all__ = ["at", "chromium", "served"]
