"""How an event, a person or the registry changes the desired state."""
