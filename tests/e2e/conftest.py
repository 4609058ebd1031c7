"""The browser for the tests of the telemetry page."""

from tests.browser.chromium import chromium

__all__ = ["chromium"]
