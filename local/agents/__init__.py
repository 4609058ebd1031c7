"""Hosted agents as processes: images are unpacked and started, and answer in place of their containers."""
