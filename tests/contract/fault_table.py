"""Every call of a release to a service, every way in which it can go wrong, and what a person is then told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local.stand_in import Fault
from tests.contract.faulty_app import CANARY
from tests.support.fast_clock import LATE


@dataclass(frozen=True)
class Call:
    """One request of the way from a push to live, and the reasons that its refusals end with."""

    name: str
    part: str
    service: str
    method: str
    path: str
    denied: str = "FORBIDDEN"
    gone: str = "REQUEST_REFUSED"
    refused: str = "REQUEST_REFUSED"
    unanswered: str = "SERVICE_UNAVAILABLE"
    thing: str = ""
    """What the line names in place of the service, where the answer is one that is foreseen."""


def foundry(name: str, method: str, path: str, **reasons: str) -> Call:
    return Call(name, "foundry", "Foundry", method, path, **reasons)


def vault(name: str, path: str, **reasons: str) -> Call:
    return Call(name, "vault", "Key Vault", "GET", path, denied="SECRET_FORBIDDEN", **reasons)


def storage(name: str, part: str, method: str, path: str, ends: str = "POISONED") -> Call:
    return Call(name, part, "storage", method, path, ends, ends, ends, ends)


def registry(name: str, method: str, path: str, gone: str = "IMAGE_UNREADABLE") -> Call:
    unreadable = "IMAGE_UNREADABLE"
    return Call(name, "registry", "registry", method, path, unreadable, gone, unreadable, thing="sha256:")


READS = (
    foundry("read the agent", "GET", r"/agents/hello-agent\?"),
    foundry("list versions", "GET", r"/agents/hello-agent/versions\?"),
    foundry("read a version", "GET", r"/agents/hello-agent/versions/\d+\?"),
    foundry(
        "list toolbox versions", "GET", r"/toolboxes/.+/versions", gone="TOOLBOX_REFUSED", refused="TOOLBOX_REFUSED"
    ),
    vault("read a secret", r"/secrets/hello-key", gone="SECRET_MISSING", thing="hello-key"),
    vault("list secrets", r"/secrets\?"),
    registry("get a token", "POST", r"/oauth2/"),
    registry("read a manifest", "GET", r"/v2/.+/manifests/", gone="IMAGE_GONE"),
    registry("read a configuration", "GET", r"/v2/.+/blobs/", gone="IMAGE_GONE"),
)
ACTS = (
    foundry(
        "create a version", "POST", r"/agents/hello-agent/versions", gone="CREATE_REFUSED", refused="CREATE_REFUSED"
    ),
    foundry("move the traffic", "PATCH", r"/agents/hello-agent\?", gone="ROUTE_REFUSED", refused="ROUTE_REFUSED"),
    foundry("create a toolbox", "POST", r"/toolboxes/.+/versions", gone="TOOLBOX_REFUSED", refused="TOOLBOX_REFUSED"),
)
STORED = (
    storage("read what is wanted", "blobs", "GET", "/desired/"),
    storage("read the release", "blobs", "GET", "/release/"),
    storage("write what is wanted", "blobs", "PUT", "/desired/"),
    storage("write the release", "blobs", "PUT", r"/release/(?!.*comp=lease)"),
    storage("lease the release", "blobs", "PUT", r"/release/.*comp=lease"),
    storage("write the journal", "blobs", "PUT", "/journal/", ends="LIVE"),
    storage("send to the queue", "queues", "POST", "/releases/messages"),
)
CALLS = (*READS, *ACTS, *STORED)


@dataclass(frozen=True)
class Kind:
    """One way to go wrong, and the code that a line about it names."""

    name: str
    code: str
    fault: dict[str, Any] = field(default_factory=dict)

    def on(self, call: Call, **more: Any) -> Fault:
        return Fault(path=call.path, method=call.method, **{**self.fault, **more})


PAGE = f"<html><title>Bad gateway</title>{CANARY}</html>"
HALF = f'{{"name": "hello-agent", "value": "{CANARY}", "data": [{{"ver'


def answered(status: int, **more: Any) -> Kind:
    return Kind(str(status), str(status), {"status": status, **more})


PASSING = (
    answered(429),
    Kind("429 with Retry-After", "429", {"status": 429, "headers": {"Retry-After": "7"}}),
    Kind("429 with a long Retry-After", "429", {"status": 429, "headers": {"Retry-After": "90"}}),
    *(answered(status) for status in (500, 502, 503)),
    Kind("503 with a page", "503", {"status": 503, "body": PAGE}),
    Kind("HTML", "no answer", {"status": 200, "body": PAGE}),
    Kind("half an answer", "no answer", {"status": 200, "body": HALF}),
    Kind("closed", "no answer", {"drop": True}),
    Kind("slow", "no answer", {"status": 503, "delay_s": LATE}),
)
AFTER_EFFECT = (
    *(
        Kind(f"{status} after effect", str(status), {"status": status, "after_effect": True})
        for status in (500, 502, 503)
    ),
    Kind("HTML after effect", "no answer", {"status": 200, "body": PAGE, "after_effect": True}),
    Kind("cut in the middle", "no answer", {"cut": True}),
    Kind("closed after effect", "no answer", {"drop": True, "after_effect": True}),
    Kind("slow after effect", "no answer", {"delay_s": LATE, "after_effect": True}),
)
DENIED = (answered(401), Kind("403", "403|FORBIDDEN", {"status": 403}))
GONE, REFUSED = answered(404), answered(409)
STAYING = (*PASSING, *DENIED, GONE, REFUSED)


def ending(call: Call, kind: Kind) -> str:
    """The reason that a release ends or waits with where the fault stays."""
    if kind in DENIED:
        return call.denied
    if kind is GONE:
        return call.gone
    return call.refused if kind is REFUSED else call.unanswered
