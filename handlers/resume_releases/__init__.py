"""Finds lost, stuck, drifted and missed work."""
