"""Reads the functions of ``function_app`` from azure-functions' registry, with the checks of the real host."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import azure.functions as func

from local.functions_host.classic_worker import invocable

ARGUMENT_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}")
"""Azure/azure-functions-host, Utility.cs: the host drops a function whose argument has an underscore."""
SETTING = re.compile(r"%([^%]+)%")


class IndexingError(Exception):
    """The real host would not load the app, or would drop one of its functions."""


class FunctionError(Exception):
    """A function failed in the worker's library; the text is its traceback."""


@dataclass(frozen=True)
class Function:
    """A function as the host knows it."""

    name: str
    trigger: str
    argument: str
    call: Callable[..., Awaitable[None]]
    """Runs it with the trigger's text and, if it has any, metadata."""
    queue: str = ""
    schedule: str = ""
    run_on_startup: bool = False
    use_monitor: bool = True


def load(app: Path, env: Mapping[str, str]) -> dict[str, Function]:
    """Return the app's functions by name in lower case, as the classic worker finds them; raise IndexingError."""
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise IndexingError(f"{app}/function_app.py has {len(apps)} FunctionApp objects; expected exactly one")
    functions = [_function(builder, env) for builder in apps[0].get_functions()]
    return {function.name.lower(): function for function in functions}


def _function(builder: Any, env: Mapping[str, str]) -> Function:
    name, trigger, call = builder.get_function_name(), builder.get_trigger(), builder.get_user_function()
    if trigger is None:
        raise IndexingError(f"{name}: a function needs a trigger")
    binding = trigger.get_dict_repr()
    function = indexed_function(name, binding, call, env)
    parameters = set(inspect.signature(call).parameters) - {"context"}
    if parameters != {trigger.name}:
        raise IndexingError(f"{name}: parameters {sorted(parameters)} are not its binding {trigger.name!r}")
    return replace(function, call=invocable(call, function.trigger, function.argument))


def indexed_function(
    name: str, binding: Mapping[str, Any], call: Callable[..., Awaitable[None]], env: Mapping[str, str]
) -> Function:
    """Return the function of a trigger's binding, with the settings that it names; raise IndexingError."""
    if not ARGUMENT_NAME.fullmatch(binding["name"]):
        raise IndexingError(f"{name}: a trigger's argument may have letters and digits only")
    return Function(
        name=name,
        trigger=str(binding["type"]),
        argument=str(binding["name"]),
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
