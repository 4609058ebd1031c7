"""The time of ``image_pushed``, compared with an empty function with the same trigger on the same host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from itertools import product
from statistics import quantiles
from urllib.parse import urlsplit

from bench.apps import app_with_empty_function
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError, start_testbed
from local.registry.events import PROVIDER
from local.stack_client import host

WARM_UP = 50
EVENT = {
    "id": "00000000-0000-0000-0000-000000000000",
    "topic": f"{PROVIDER}/registries/demo",
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


def rows(effort: Effort) -> Iterator[Row]:
    """The ``image_pushed`` row."""
    repeats = effort.choose(600, 150)
    with start_testbed({"hello": 1}) as testbed:
        app = app_with_empty_function(testbed.running.folder / "app")
        with host(testbed.running, app=app) as functions:
            took = time_deliveries({name: (functions.url, name) for name in ("empty", "image_pushed")}, repeats)
    empty, pushed = (lower_quartile_ms(took[name]) for name in ("empty", "image_pushed"))
    yield Row(
        name="image_pushed",
        description="warm image_pushed minus an empty Event Grid function, without gateway calls",
        unit="ms",
        value=pushed - empty,
        target=0.5,
        bound=0.0,
        bound_description="a handler that does nothing",
        method=f"Lower quartiles of {repeats} deliveries each, alternating on one host, one connection each; state "
        "store, journal and queue answer at once",
        details={"empty, ms": empty, "image_pushed, ms": pushed},
    )


def time_deliveries(to: Mapping[str, tuple[str, str]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each delivery of the event, alternating: name -> a host's address and its function."""
    body = json.dumps([EVENT]).encode()
    headers = {"aeg-event-type": "Notification", "Content-Type": "application/json"}
    connections = {name: HTTPConnection(urlsplit(url).netloc) for name, (url, _) in to.items()}
    took: dict[str, list[float]] = {name: [] for name in to}
    for _, (name, (_, function)) in product(range(WARM_UP + repeats), to.items()):
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


def lower_quartile_ms(seconds: list[float]) -> float:
    """The lower quartile in ms: other processes make some deliveries slower, and none faster."""
    return 1000 * quantiles(seconds, n=4)[0]
