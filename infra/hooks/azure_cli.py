"""Azure as the hooks ask it: through az, which is signed in already; what az says of an error becomes one of ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

HTTP_ERROR = re.compile(r"^(?:ERROR: )?([A-Z][A-Za-z ]+)\((.*)\)\s*$", re.MULTILINE | re.DOTALL)
"""How ``az rest`` tells of a status: its reason, and the body in brackets."""
NOT_THERE = re.compile(r"\b(Not Found|ResourceNotFound|ResourceGroupNotFound|BlobNotFound)\b")


class AzureError(Exception):
    """Azure refused or did not answer; the text is az's own, in one line."""


class Azure:
    """What is read and said, with the environment that azd hands to a hook; every method raises AzureError."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def get(self, path: str, api: str) -> Any:
        """A resource as Azure Resource Manager shows it, or None where there is none."""
        joined = "&" if "?" in path else "?"
        url = f"{path}{joined}api-version={api}".replace(" ", "%20")
        return self.run("rest", "--method", "get", "--url", url, absent=None)

    def list(self, path: str, api: str) -> list[Any]:
        """The ``value`` of a listing, all pages; empty where the scope itself is not there."""
        found: list[Any] = []
        page = self.get(path, api)
        while page:
            found += page["value"]
            following = page.get("nextLink")
            page = self.run("rest", "--method", "get", "--url", following) if following else None
        return found

    def post(self, path: str, api: str, body: object) -> Any:
        """Ask with a body."""
        url = f"{path}?api-version={api}"
        return self.run("rest", "--method", "post", "--url", url, "--body", json.dumps(body))

    def delete(self, path: str, api: str) -> None:
        """Delete; what is gone already counts as deleted."""
        self.run("rest", "--method", "delete", "--url", f"{path}?api-version={api}", absent=None)

    def run(self, *arguments: str, absent: object = ...) -> Any:
        """Any az command; its JSON. ``absent`` is what stands for a 404, where that is an answer."""
        az = shutil.which("az", path=self._env.get("PATH"))
        if az is None:
            raise AzureError("az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli")
        command = [az, *arguments, "--output", "json", "--only-show-errors"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(self._env))
        if done.returncode == 0:
            return json.loads(done.stdout) if done.stdout.strip() else None
        if absent is not ... and NOT_THERE.search(done.stderr):
            return absent
        raise AzureError(_line(done.stderr) or f"az {' '.join(arguments[:2])} ended with {done.returncode}")


def _line(told: str) -> str:
    """What az said, its JSON unpacked to code and message."""
    found = HTTP_ERROR.search(told)
    if found:
        try:
            error = json.loads(found[2])["error"]
        except (ValueError, KeyError, TypeError):
            return " ".join(told.split())
        return f"{error.get('code', found[1])}: {error.get('message', '')}".rstrip(": ")
    return " ".join(told.removeprefix("ERROR: ").split())


def where(azure: Azure, name: str, kind: str) -> Sequence[str]:
    """The ids of every resource of the name and type, in any subscription that the signed-in account sees."""
    found: list[str] = []
    for subscription in azure.run("account", "list"):
        if subscription.get("state") == "Enabled":
            asked = ("--name", name, "--resource-type", kind, "--subscription", subscription["id"])
            found += [one["id"] for one in azure.run("resource", "list", *asked)]
    return found
