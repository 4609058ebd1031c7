"""Deletes stale versions."""
