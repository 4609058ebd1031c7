"""What Slipway costs, measured: ``make bench``. Never a test: a machine may be slow, a number is only told."""
