"""Stand-in for Microsoft Foundry's hosted agents, with their sessions and toolboxes."""
