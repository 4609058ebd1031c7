"""Azure through ``az``, which is already signed in. Every failure becomes an AzureError."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

HTTP_ERROR = re.compile(r"^(?:ERROR: )?([A-Z][A-Za-z ]+)\((.*)\)\s*$", re.MULTILINE | re.DOTALL)
"""An HTTP error as ``az rest`` prints it: the reason phrase, then the body in brackets."""
NOT_FOUND = re.compile(r"\b(Not Found|ResourceNotFound|ResourceGroupNotFound|BlobNotFound)\b")


HELP = (
    (
        ("aadsts", "az login", "interactionrequired", "refresh token", "authenticationfailed", "expired"),
        "sign in again: az login",
    ),
    (
        ("authorizationfailed", "forbidden", "does not have authorization"),
        "ask for the role Reader there, or more, or sign in with another account: az login",
    ),
    (("toomanyrequests", "too many requests", "429"), "Azure asks to wait: try again in a minute"),
    (
        ("connection", "timed out", "max retries", "getaddrinfo", "resolve", "proxy", "<html", "ssl"),
        "Azure was not reached: check the network and, behind a proxy, HTTPS_PROXY and its certificate",
    ),
    (("not installed",), "install it, then: az login"),
)
"""Parts of a message, in lower case, and the help that fits."""


class AzureError(Exception):
    """Azure refused or did not answer; the text is the message of az, in one line."""

    @property
    def help(self) -> str:
        """What to do about it; empty if only the message can say."""
        message = str(self).lower()
        return next((help_ for parts, help_ in HELP if any(part in message for part in parts)), "")


class Azure:
    """Calls to az, with the environment that azd passes to a hook; every method raises AzureError."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def get(self, path: str, api: str) -> Any:
        """A resource as Azure Resource Manager returns it, or None if it does not exist."""
        return self.run("rest", "--method", "get", *_address(path, api), absent=None)

    def list(self, path: str, api: str) -> list[Any]:
        """The items of a listing, all pages; empty if the scope does not exist."""
        items: list[Any] = []
        page = self.get(path, api)
        while page:
            items += page["value"]
            next_link = page.get("nextLink")
            page = self.run("rest", "--method", "get", *_address(next_link)) if next_link else None
        return items

    def put(self, path: str, api: str, body: object) -> Any:
        """Create or change a resource; Azure may still be working on it when this returns."""
        return self._send("put", path, api, body)

    def post(self, path: str, api: str, body: object) -> Any:
        """Send a POST request with a JSON body."""
        return self._send("post", path, api, body)

    def delete(self, path: str, api: str) -> None:
        """Delete a resource; one that does not exist counts as deleted."""
        self.run("rest", "--method", "delete", *_address(path, api), absent=None)

    def _send(self, method: str, path: str, api: str, body: object) -> Any:
        """The body goes through a file: the shell that starts az on Windows changes quotation marks."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "body.json"
            file.write_text(json.dumps(body))
            return self.run("rest", "--method", method, *_address(path, api), "--body", f"@{file}")

    def run(self, *arguments: str, absent: object = ...) -> Any:
        """Run any az command and return its JSON. ``absent``, if given, is returned for a 404."""
        az = shutil.which("az", path=self._env.get("PATH"))
        if az is None:
            raise AzureError("az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli")
        command = [az, *arguments, "--output", "json", "--only-show-errors"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(self._env))
        if done.returncode == 0:
            return json.loads(done.stdout) if done.stdout.strip() else None
        if absent is not ... and NOT_FOUND.search(done.stderr):
            return absent
        raise AzureError(_message(done.stderr) or f"az {' '.join(arguments[:2])} ended with {done.returncode}")


def _address(address: str, api: str = "") -> tuple[str, ...]:
    """The options of az rest for an address, each parameter for itself: on Windows a shell ends the command at an &."""
    path, _, query = address.partition("?")
    parameters = [*parse_qsl(query), *([("api-version", api)] if api else [])]
    return ("--url", path, "--uri-parameters", *(f"{name}={value}" for name, value in parameters))


def _message(stderr: str) -> str:
    """The error message of az in one line; a JSON body is reduced to its code and message."""
    match = HTTP_ERROR.search(stderr)
    if match:
        try:
            error = json.loads(match[2])["error"]
        except (ValueError, KeyError, TypeError):
            return " ".join(stderr.split())
        return f"{error.get('code', match[1])}: {error.get('message', '')}".rstrip(": ")
    return " ".join(stderr.removeprefix("ERROR: ").split())


def find_resources(azure: Azure, name: str, kind: str) -> Sequence[str]:
    """The ids of all resources of this name and type, in every subscription that the signed-in account can see."""
    ids: list[str] = []
    for subscription in azure.run("account", "list"):
        if subscription.get("state") == "Enabled":
            query = ("--name", name, "--resource-type", kind, "--subscription", subscription["id"])
            ids += [resource["id"] for resource in azure.run("resource", "list", *query)]
    return ids
