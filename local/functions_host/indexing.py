"""Indexes ``function_app`` through azure-functions' own registry, with the checks that the real host makes."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

ARGUMENT = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}")
"""Azure/azure-functions-host, Utility.cs: no underscore, or the function is dropped."""
SETTING = re.compile(r"%([^%]+)%")


class IndexingError(Exception):
    """The real host would not load the app, or would drop a function of it."""


@dataclass(frozen=True)
class Function:
    """One function, as the host knows it."""

    name: str
    trigger: str
    argument: str
    call: Callable[..., Any]
    queue: str = ""
    schedule: str = ""


def load(app: Path, env: Mapping[str, str]) -> dict[str, Function]:
    """Functions by their name in lower case; raises IndexingError."""
    module = importlib.import_module("function_app")
    found = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(found) != 1:
        raise IndexingError(f"{app}/function_app.py has {len(found)} FunctionApp objects; one is expected")
    functions = [_function(one, env) for one in found[0].get_functions()]
    return {one.name.lower(): one for one in functions}


def _function(indexed: Any, env: Mapping[str, str]) -> Function:
    name, trigger = indexed.get_function_name(), indexed.get_trigger()
    if trigger is None or not ARGUMENT.fullmatch(trigger.name):
        raise IndexingError(f"{name}: a trigger's argument has letters and digits only")
    call = indexed.get_user_function()
    parameters = set(inspect.signature(call).parameters) - {"context"}
    if parameters != {trigger.name}:
        raise IndexingError(f"{name}: parameters {sorted(parameters)} are not its binding {trigger.name!r}")
    binding = trigger.get_dict_repr()
    return Function(
        name=name,
        trigger=str(binding["type"]),
        argument=trigger.name,
        call=call,
        queue=_resolved(name, str(binding.get("queueName", "")), env),
        schedule=_resolved(name, str(binding.get("schedule", "")), env),
    )


def _resolved(name: str, text: str, env: Mapping[str, str]) -> str:
    """A binding expression has no default: a setting that is missing fails the function."""

    def setting(found: re.Match[str]) -> str:
        if found.group(1) not in env:
            raise IndexingError(f"{name}: the setting {found.group(1)} of its binding is not set")
        return env[found.group(1)]

    return SETTING.sub(setting, text)
