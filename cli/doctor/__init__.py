"""``slipway doctor``: finds the cause of an ImageError, a 401 or a 403."""
