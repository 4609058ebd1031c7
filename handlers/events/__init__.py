"""Pushes and secret changes become updates of the desired state."""
