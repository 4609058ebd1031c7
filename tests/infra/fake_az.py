#!/usr/bin/env python3
"""An az that answers from a file of state, in the shapes of Azure Resource Manager and of the command line.

State (the file of FAKE_AZ): ``resources`` path → body, ``listings`` path → its value, ``commands`` words → answer,
paths that are ``refused``, and paths that are ``locked``. What is asked is kept under ``asked``; what is deleted is
gone; an event put into the queue is answered in the journal as the app would.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

FILE = Path(os.environ["FAKE_AZ"])
LOCK = FILE.with_suffix(".lock").open("w")
fcntl.flock(LOCK, fcntl.LOCK_EX)  # until the process ends: hooks ask several things at once
STATE: dict[str, Any] = json.loads(FILE.read_text())


def refuse(reason: str, code: str, message: str) -> NoReturn:
    """How ``az rest`` tells of a status."""
    sys.exit(f"ERROR: {reason}({json.dumps({'error': {'code': code, 'message': message}})})")


def rest(given: dict[str, str]) -> Any:
    url = urlsplit(given["--url"])
    path, method = url.path.lower(), given["--method"]
    if "api-version" not in parse_qs(url.query):
        refuse("Bad Request", "MissingApiVersionParameter", "The api-version query parameter is required")
    if path in [one.lower() for one in STATE.get("refused", [])]:
        refuse("Forbidden", "AuthorizationFailed", f"The client does not have authorization over {url.path}")
    if method == "post":
        return STATE["commands"]["post"]
    return delete(path) if method == "delete" else get(path, url.path, url.query)


def delete(path: str) -> None:
    if path in [one.lower() for one in STATE.get("locked", [])]:
        refuse("Conflict", "ScopeLocked", "The scope cannot perform delete operation because it is locked")
    resources = STATE["resources"]
    for key in [one for one in resources if one.lower() == path]:
        resources.pop(key)


def get(path: str, written: str, query: str) -> Any:
    for key, found in STATE["resources"].items():
        if key.lower() == path:
            return found
    for key, found in STATE["listings"].items():
        if key.lower() == path:
            return {"value": filtered(found, query)}
    refuse("Not Found", "ResourceNotFound", f"The Resource '{written}' was not found.")


def filtered(found: list[Any], query: str) -> list[Any]:
    """``$filter=principalId eq '…'``, which listings of assignments know."""
    desired = parse_qs(query).get("$filter", [""])[0]
    if not desired.startswith("principalId eq "):
        return found
    return [one for one in found if one["properties"]["principalId"] == desired.split("'")[1]]


def storage(words: tuple[str, ...], given: dict[str, str]) -> Any:
    journal: dict[str, str] = STATE.setdefault("journal", {})
    if words == ("storage", "message", "put"):
        event = json.loads(base64.b64decode(given["--content"]))
        answer = {"event": event["id"], "reason": "ACCEPTED", "agent": "hello-agent", **STATE.get("answer", {})}
        name = f"journal/{event['time'][:10]}.jsonl"
        journal[name] = journal.get(name, "") + json.dumps({**answer, "dry_run": event["data"]["dry_run"]}) + "\n"
        return {}
    if words == ("storage", "blob", "list"):
        return STATE.get("ledger", [])
    if given["--name"] not in journal:
        sys.exit("ERROR: The specified blob does not exist.\nErrorCode:BlobNotFound")
    Path(given["--file"]).write_text(journal[given["--name"]])
    return {}


def main(arguments: list[str]) -> None:
    first = next((n for n, one in enumerate(arguments) if one.startswith("--")), len(arguments))
    words, rest_of = tuple(arguments[:first]), arguments[first:]
    pairs = [(one, rest_of[n + 1]) for n, one in enumerate(rest_of[:-1]) if one.startswith("--")]
    given = {name: value for name, value in pairs if not value.startswith("--")}
    STATE.setdefault("asked", []).append(arguments)
    if words == ("rest",):
        answer = rest(given)
    elif words[0] == "storage":
        answer = storage(words, given)
    else:
        answer = STATE["commands"].get(" ".join(words))
    FILE.write_text(json.dumps(STATE))
    if answer is not None:
        sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
