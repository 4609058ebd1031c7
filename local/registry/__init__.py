"""Stand-in for Azure Container Registry: an OCI registry with ACR's sign-in, tag list and events."""
