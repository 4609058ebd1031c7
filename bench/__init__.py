"""Measures what Slipway costs: ``make bench``. It is not a test: numbers depend on the machine."""
