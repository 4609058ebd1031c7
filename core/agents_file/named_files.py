"""Files that agents.yaml names: they are beside it, or in a folder there, and are deployed with it."""

from __future__ import annotations

import re

from core.agents_file.fields import quote

NOT_DEPLOYED = re.compile(r"\..*|__pycache__|.*_env|bench|build|cli|dist|docs|env|infra|local|node_modules|tests|venv")
"""Names of folders and files that .funcignore leaves out of the package, at any depth."""


def check_deployed(name: str) -> str:
    """A file that the package holds; what is missing there would be missing only in Azure."""
    left_out = next((part for part in name.split("/") if NOT_DEPLOYED.fullmatch(part)), None)
    if left_out is not None:
        raise ValueError(f"{quote(name)} is not deployed: .funcignore leaves {left_out} out; move it to another folder")
    return name
