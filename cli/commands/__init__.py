"""One module per command: the Typer function, then its logic.

Heavy imports stand inside the functions, because ``slipway --help`` imports every module.
"""
