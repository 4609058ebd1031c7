"""Stand-in for Azure Container Registry."""
