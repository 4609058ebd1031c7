"""The triggers of Slipway; each calls the function of the same name in handlers.bootstrap."""

from __future__ import annotations

import azure.functions as func

from handlers import bootstrap

app = func.FunctionApp()

STORAGE = "AzureWebJobsStorage"


@app.function_name("image_pushed")
@app.event_grid_trigger(arg_name="event")
async def image_pushed(event: str) -> None:
    """An image was pushed; Event Grid calls the app directly."""
    await bootstrap.image_pushed(event)


@app.function_name("secret_changed")
@app.event_grid_trigger(arg_name="event")
async def secret_changed(event: str) -> None:
    """A secret has a new version in Key Vault; Event Grid calls the app directly."""
    await bootstrap.secret_changed(event)


@app.function_name("event_queued")
@app.queue_trigger(arg_name="message", queue_name="events", connection=STORAGE)
async def event_queued(message: str) -> None:
    """An event of either kind, which Event Grid wrote to a storage queue."""
    await bootstrap.event_queued(message)


@app.function_name("release_agent")
@app.queue_trigger(arg_name="message", queue_name="releases", connection=STORAGE)
async def release_agent(message: str) -> None:
    """An agent has a release to reconcile."""
    await bootstrap.release_agent(message)


@app.function_name("commit_status")
@app.queue_trigger(arg_name="message", queue_name="commit-statuses", connection=STORAGE)
async def commit_status(message: str) -> None:
    """A release has a status for the commit of its image."""
    await bootstrap.commit_status(message)


@app.function_name("release_poisoned")
@app.queue_trigger(arg_name="message", queue_name="releases-poison", connection=STORAGE)
async def release_poisoned(message: str) -> None:
    """A message of ``releases`` failed five times."""
    await bootstrap.release_poisoned(message)


@app.function_name("event_poisoned")
@app.queue_trigger(arg_name="message", queue_name="events-poison", connection=STORAGE)
async def event_poisoned(message: str) -> None:
    """A message of ``events`` failed five times."""
    await bootstrap.event_poisoned(message)


@app.function_name("commit_status_poisoned")
@app.queue_trigger(arg_name="message", queue_name="commit-statuses-poison", connection=STORAGE)
async def commit_status_poisoned(message: str) -> None:
    """A message of ``commit-statuses`` failed five times."""
    await bootstrap.commit_status_poisoned(message)


@app.function_name("prune_versions")
@app.timer_trigger(arg_name="timer", schedule="%PRUNE_SCHEDULE%")
async def prune_versions(timer: func.TimerRequest) -> None:
    """Delete stale versions."""
    await bootstrap.prune_versions()


@app.function_name("resume_releases")
@app.timer_trigger(arg_name="timer", schedule="%RESUME_SCHEDULE%")
async def resume_releases(timer: func.TimerRequest) -> None:
    """Resume lost, stuck and missed work, and send the heartbeat."""
    await bootstrap.resume_releases()
