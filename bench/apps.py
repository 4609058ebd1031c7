"""Functions apps to hold the product's against, made for one run."""

from __future__ import annotations

import shutil
from pathlib import Path

from local.endpoints import ROOT
from local.functions_host.indexing import Function

TRIGGERS = {
    "eventGridTrigger": "event_grid_trigger(arg_name={argument!r})",
    "queueTrigger": "queue_trigger(arg_name={argument!r}, queue_name={queue!r}, connection='AzureWebJobsStorage')",
    "timerTrigger": "timer_trigger(arg_name={argument!r}, schedule={schedule!r})",
}
HEAD = "import azure.functions as func\n\napp = func.FunctionApp()\n"
BESIDE = """
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


def empty_app(folder: Path, functions: list[Function]) -> Path:
    """The same triggers over functions that do nothing."""
    text = HEAD
    for one in functions:
        trigger = TRIGGERS[one.trigger].format(argument=one.argument, queue=one.queue, schedule=one.schedule)
        text += f"\n\n@app.function_name({one.name!r})\n@app.{trigger}\n"
        text += f"async def {one.name}({one.argument}: str) -> None:\n    pass\n"
    return _written(folder, text)


def beside_an_empty_one(folder: Path) -> Path:
    """The product's ``image_pushed`` with instant gateways, and an empty function of the same trigger."""
    return _written(folder, HEAD + BESIDE)


def _written(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "function_app.py").write_text(text)
    shutil.copy(ROOT / "host.json", folder)
    return folder
