"""What Slipway stores per agent: the desired state, the release state and the holds."""
