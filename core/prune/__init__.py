"""Decides which versions may go."""
