"""What Slipway decides, with no clock, no environment and no outside world in it."""
