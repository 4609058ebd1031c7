"""``slipway``: the operator's command line; it runs the product's own code."""
