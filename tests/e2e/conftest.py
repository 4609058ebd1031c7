"""The browser that the tests of the page use."""

from tests.browser.chromium import chromium

__all__ = ["chromium"]
