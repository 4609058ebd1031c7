"""Stand-in for the Azure Functions host."""
