"""The vaults of projects: each project has the vault that agents.yaml names, or that of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from core.target import DEFAULT_PROJECT
from handlers.concurrency import gather_all
from handlers.gateways.interfaces import KeyVault


class VaultClient(KeyVault, Protocol):
    """Secrets in one vault."""

    async def close(self) -> None:
        """Close the connections."""


class ProjectVaults:
    """``addresses`` says where the vaults of projects are now; ``connect`` makes a client for one."""

    def __init__(
        self,
        default: VaultClient,
        addresses: Callable[[], Mapping[str, str]],
        connect: Callable[[str], VaultClient],
    ) -> None:
        self._default, self._addresses, self._connect = default, addresses, connect
        self._connected: dict[str, VaultClient] = {}

    def of(self, project: str) -> KeyVault:
        """The vault of a project; projects that name the same one share its client."""
        if project == DEFAULT_PROJECT:  # needed where agents.yaml is broken too, which the app then reports
            return self._default
        address = self._addresses().get(project)
        if address is None:
            return self._default
        if address not in self._connected:
            self._connected[address] = self._connect(address)
        return self._connected[address]

    async def close(self) -> None:
        """Close the connections to every vault."""
        await gather_all([vault.close() for vault in (self._default, *self._connected.values())])
