"""The address of a Key Vault, as agents.yaml and the ids of secrets in events name it."""

from __future__ import annotations

import re


def vault_address(text: str) -> str:
    """The address as it is compared, whether the scheme and the port are written or not."""
    return "https://" + re.sub("^https?://", "", text.lower()).rstrip("/").removesuffix(":443")
