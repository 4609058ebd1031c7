"""What a candidate passes before and after it gets traffic."""
