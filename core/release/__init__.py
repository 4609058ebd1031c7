"""Decides the next action of a release."""
