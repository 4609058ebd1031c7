"""Functions apps to compare the product with, generated for a run."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

from local.endpoints import ROOT
from local.functions_host.indexing import Function, load

SCHEDULES = {"PRUNE_SCHEDULE": "0 0 3 * * *", "RESUME_SCHEDULE": "0 */5 * * * *"}

TRIGGERS = {
    "eventGridTrigger": "event_grid_trigger(arg_name={argument!r})",
    "queueTrigger": "queue_trigger(arg_name={argument!r}, queue_name={queue!r}, connection='AzureWebJobsStorage')",
    "timerTrigger": "timer_trigger(arg_name={argument!r}, schedule={schedule!r})",
}
HEAD = "import azure.functions as func\n\napp = func.FunctionApp()\n"
WITH_EMPTY_FUNCTION = """
from bench.instant import handle


@app.function_name("empty")
@app.event_grid_trigger(arg_name="event")
async def empty(event: str) -> None:
    pass


@app.function_name("image_pushed")
@app.event_grid_trigger(arg_name="event")
async def image_pushed(event: str) -> None:
    await handle(event)
"""


@cache
def _functions() -> tuple[Function, ...]:
    """The product's functions; azure.functions lists those of an app once in a process."""
    return tuple(load(ROOT, SCHEDULES).values())


def empty_app(folder: Path, body: str = "pass") -> Path:
    """An app with the product's triggers and functions that do nothing, or what ``body`` does."""
    text = HEAD
    for function in _functions():
        trigger = TRIGGERS[function.trigger].format(
            argument=function.argument, queue=function.queue, schedule=function.schedule
        )
        text += f"\n\n@app.function_name({function.name!r})\n@app.{trigger}\n"
        text += f"async def {function.name}({function.argument}: str) -> None:\n    {body}\n"
    return _write_app(folder, text)


def app_with_empty_function(folder: Path) -> Path:
    """The product's ``image_pushed`` with instant gateways, and an empty function of the same trigger."""
    return _write_app(folder, HEAD + WITH_EMPTY_FUNCTION)


def _write_app(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "function_app.py").write_text(text)
    shutil.copy(ROOT / "host.json", folder)
    return folder
