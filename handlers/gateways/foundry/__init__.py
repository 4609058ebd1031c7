"""Microsoft Foundry's hosted agents."""
