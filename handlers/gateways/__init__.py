"""One gateway per Azure service, in our words."""
