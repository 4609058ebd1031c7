"""How a text is made safe to leave the process: which spellings of a secret to find, and control characters shown."""
