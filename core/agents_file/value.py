"""The base of every map of agents.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value that rejects unknown keys.

    A validator is built at its first use: most are parts of that of ``AgentSpec``, and never used alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
