"""``make demo``: one screen that shows what Slipway does, and asks the SDK whether it is true."""
