"""``make demo``: one screen that shows what Slipway does and checks through the SDK that it is true."""
