"""Brings one agent's release as far as it goes."""
