"""``image_pushed`` over an empty function of the same trigger, on the same host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from itertools import product
from statistics import quantiles
from urllib.parse import urlsplit

from bench.apps import beside_an_empty_one
from bench.report import Row
from bench.scene import Choice, NotMeasuredError, scene
from local.stack_client import host

WARM_UP = 50
EVENT = {
    "id": "00000000-0000-0000-0000-000000000000",
    "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/demo",
    "subject": "agents/hello:v1",
    "eventType": "Microsoft.ContainerRegistry.ImagePushed",
    "eventTime": "2026-01-01T00:00:00.0000000Z",
    "data": {
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "sha256:" + "0" * 64,
            "repository": "agents/hello",
            "tag": "v1",
        },
    },
    "dataVersion": "1.0",
    "metadataVersion": "1",
}


def rows(choice: Choice) -> Iterator[Row]:
    """One row."""
    often = choice.of(600, 150)
    with scene({"hello": 1}) as stage:
        app = beside_an_empty_one(stage.running.folder / "app")
        with host(stage.running, app=app) as functions:
            took = deliveries({name: (functions.url, name) for name in ("empty", "image_pushed")}, often)
    empty, pushed = (undisturbed(took[name]) for name in ("empty", "image_pushed"))
    yield Row(
        name="image_pushed",
        what="image_pushed, warm, over an empty Event Grid function, gateway calls aside",
        unit="ms",
        value=pushed - empty,
        target=0.5,
        bound=0.0,
        bound_is="a handler that does nothing",
        how=f"Lower quartiles of {often} deliveries each, turn about on one host, a connection each; ledger, "
        "journal and queue answer at once",
        also={"empty, ms": empty, "image_pushed, ms": pushed},
    )


def deliveries(to: Mapping[str, tuple[str, str]], often: int) -> dict[str, list[float]]:
    """Seconds of each delivery of the event, turn about: name -> a host's address and the function there."""
    body = json.dumps([EVENT]).encode()
    headers = {"aeg-event-type": "Notification", "Content-Type": "application/json"}
    connections = {name: HTTPConnection(urlsplit(url).netloc) for name, (url, _) in to.items()}
    took: dict[str, list[float]] = {name: [] for name in to}
    for _, (name, (_, function)) in product(range(WARM_UP + often), to.items()):
        connection, began = connections[name], time.perf_counter()
        connection.request("POST", f"/runtime/webhooks/EventGrid?functionName={function}", body, headers)
        answer = connection.getresponse()
        answer.read()
        took[name].append(time.perf_counter() - began)
        if answer.status != 202:
            raise NotMeasuredError(f"{name} was answered with {answer.status}")
    for connection in connections.values():
        connection.close()
    return {name: times[WARM_UP:] for name, times in took.items()}


def undisturbed(seconds: list[float]) -> float:
    """The lower quartile in ms: what else a machine does makes some deliveries slower, and none faster."""
    return 1000 * quantiles(seconds, n=4)[0]
