"""Azure on a laptop: small real servers that the unmodified product talks to. Never deployed."""
