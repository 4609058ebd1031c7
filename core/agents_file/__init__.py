"""agents.yaml: its typed spec, its loader and its messages."""
