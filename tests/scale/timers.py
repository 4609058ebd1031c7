"""The timers over many agents and a limited Foundry: the real handlers in virtual time."""
