"""Plans: the real handlers run against gateways that record writes instead of making them."""
