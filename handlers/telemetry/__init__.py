"""Spans, metrics and one line per decision."""
