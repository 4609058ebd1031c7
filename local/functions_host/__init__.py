"""Stand-in for the Azure Functions host: loads ``function_app`` as the worker does and serves its triggers."""
