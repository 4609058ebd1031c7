"""Reads the functions of ``function_app`` from azure-functions' registry, with the checks of the real host."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

ARGUMENT_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}")
"""Azure/azure-functions-host, Utility.cs: the host drops a function whose argument has an underscore."""
SETTING = re.compile(r"%([^%]+)%")


class IndexingError(Exception):
    """The real host would not load the app, or would drop one of its functions."""


@dataclass(frozen=True)
class Function:
    """A function as the host knows it."""

    name: str
    trigger: str
    argument: str
    call: Callable[..., Any]
    queue: str = ""
    schedule: str = ""
    run_on_startup: bool = False
    use_monitor: bool = True


def load(app: Path, env: Mapping[str, str]) -> dict[str, Function]:
    """Return the app's functions by name in lower case; raise IndexingError."""
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise IndexingError(f"{app}/function_app.py has {len(apps)} FunctionApp objects; expected exactly one")
    functions = [_function(builder, env) for builder in apps[0].get_functions()]
    return {function.name.lower(): function for function in functions}


def _function(builder: Any, env: Mapping[str, str]) -> Function:
    name, trigger = builder.get_function_name(), builder.get_trigger()
    if trigger is None or not ARGUMENT_NAME.fullmatch(trigger.name):
        raise IndexingError(f"{name}: a trigger's argument may have letters and digits only")
    call = builder.get_user_function()
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
        run_on_startup=bool(binding.get("runOnStartup", False)),
        use_monitor=binding.get("useMonitor") is not False,
    )


def _resolved(name: str, text: str, env: Mapping[str, str]) -> str:
    """Replace ``%SETTING%``; raise IndexingError if a setting is missing, since settings have no default."""

    def setting(match: re.Match[str]) -> str:
        if match.group(1) not in env:
            raise IndexingError(f"{name}: the setting {match.group(1)} of its binding is not set")
        return env[match.group(1)]

    return SETTING.sub(setting, text)
