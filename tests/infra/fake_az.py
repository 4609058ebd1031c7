#!/usr/bin/env python3
"""A fake az that answers from a state file, in the formats of Azure Resource Manager and of az.

The state file is named by FAKE_AZ: ``resources`` (path → body), ``listings`` (path → items), ``commands`` (words →
answer), ``refused`` and ``locked`` paths, ``put_failures``. Each call is recorded under ``asked``, a deletion removes
the resource, and an event put into the queue is answered in the journal as the app would answer it.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

FILE = Path(os.environ["FAKE_AZ"])
LOCK = FILE.with_suffix(".lock").open("w")
fcntl.flock(LOCK, fcntl.LOCK_EX)  # until the process ends: a hook runs several at once
STATE: dict[str, Any] = json.loads(FILE.read_text())


def refuse(reason: str, code: str, message: str) -> NoReturn:
    """Exit with an HTTP error as ``az rest`` prints it."""
    FILE.write_text(json.dumps(STATE))
    sys.exit(f"ERROR: {reason}({json.dumps({'error': {'code': code, 'message': message}})})")


def rest(options: dict[str, str]) -> Any:
    url, query, method = options["--url"], options["--uri-parameters"], options["--method"]
    path = url.lower()
    if "api-version=" not in query:
        refuse("Bad Request", "MissingApiVersionParameter", "The api-version query parameter is required")
    if path in [refused.lower() for refused in STATE.get("refused", [])]:
        refuse("Forbidden", "AuthorizationFailed", f"The client does not have authorization over {url}")
    if method == "post":
        return STATE["commands"]["post"]
    if method == "put":
        return put(url, json.loads(Path(options["--body"].removeprefix("@")).read_text()))
    return delete(path) if method == "delete" else get(path, url, query)


def put(path: str, body: dict[str, Any]) -> Any:
    """Create the resource. ``put_failures``: each PUT takes one, a message to refuse with or a state to end in."""
    failure = STATE["put_failures"].pop(0) if STATE.get("put_failures") else "Succeeded"
    if " " in failure:
        refuse("Bad Request", "Managed Identity Authorization Error", failure)
    name = path.rpartition("/")[2]
    properties = {**body["properties"], "topic": path.partition("/eventSubscriptions/")[0]}
    STATE["resources"][path] = {"id": path, "name": name, "properties": {**properties, "provisioningState": failure}}
    return {"properties": {"provisioningState": "Creating"}}


def delete(path: str) -> None:
    if path in [locked.lower() for locked in STATE.get("locked", [])]:
        refuse("Conflict", "ScopeLocked", "The scope cannot perform delete operation because it is locked")
    resources = STATE["resources"]
    for key in [key for key in resources if key.lower() == path]:
        resources.pop(key)


def get(path: str, original: str, query: str) -> Any:
    for key, body in STATE["resources"].items():
        if key.lower() == path:
            return body
    for key, items in STATE["listings"].items():
        if key.lower() == path:
            return {"value": filtered(items, query)}
    refuse("Not Found", "ResourceNotFound", f"The Resource '{original}' was not found.")


def filtered(items: list[Any], query: str) -> list[Any]:
    """Apply ``$filter=principalId eq '…'``, which listings of role assignments support."""
    condition = query.partition("$filter=")[2]
    if not condition.startswith("principalId eq "):
        return items
    return [item for item in items if item["properties"]["principalId"] == condition.split("'")[1]]


def storage(words: tuple[str, ...], options: dict[str, str]) -> Any:
    journal: dict[str, str] = STATE.setdefault("journal", {})
    if words == ("storage", "message", "put"):
        event = json.loads(base64.b64decode(options["--content"]))
        answer = {"event": event["id"], "reason": "ACCEPTED", "agent": "hello-agent", **STATE.get("answer", {})}
        name = f"journal/{event['time'][:10]}.jsonl"
        journal[name] = journal.get(name, "") + json.dumps({**answer, "dry_run": event["data"]["dry_run"]}) + "\n"
        return {}
    if words == ("storage", "blob", "list"):
        return STATE.get("ledger", [])
    if options["--name"] not in journal:
        sys.exit("ERROR: The specified blob does not exist.\nErrorCode:BlobNotFound")
    Path(options["--file"]).write_text(journal[options["--name"]])
    return {}


def main(arguments: list[str]) -> None:
    first = next((index for index, word in enumerate(arguments) if word.startswith("--")), len(arguments))
    words, rest_of = tuple(arguments[:first]), arguments[first:]
    options: dict[str, str] = {}
    name = ""
    for word in rest_of:
        name = word if word.startswith("--") else name
        options[name] = f"{options[name]}&{word}".strip("&") if name != word else ""
    STATE.setdefault("asked", []).append(arguments)
    if words == ("rest",):
        answer = rest(options)
    elif words[0] == "storage":
        answer = storage(words, options)
    else:
        answer = STATE["commands"].get(" ".join(words))
    FILE.write_text(json.dumps(STATE))
    if answer is not None:
        sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
