"""Stand-in for Microsoft Foundry's hosted agents."""
