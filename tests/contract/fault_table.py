"""Every call of a release to a service, every fault of it, and the reason code that follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local.stand_in import Fault
from tests.contract.faulty_app import CANARY
from tests.support.fast_clock import LATE_ANSWER


@dataclass(frozen=True)
class Call:
    """One request between a push and live, and the reason code for each refusal."""

    name: str
    stand_in: str
    service: str
    method: str
    path: str
    denied: str = "FORBIDDEN"
    not_found: str = "REQUEST_REFUSED"
    conflict: str = "REQUEST_REFUSED"
    unavailable: str = "SERVICE_UNAVAILABLE"
    subject: str = ""
    """The decision names this in place of the service, where the product handles the answer itself."""


def foundry(name: str, method: str, path: str, **reasons: str) -> Call:
    return Call(name, "foundry", "Foundry", method, path, **reasons)


def vault(name: str, path: str, **reasons: str) -> Call:
    return Call(name, "vault", "Key Vault", "GET", path, denied="SECRET_FORBIDDEN", **reasons)


def storage(name: str, stand_in: str, method: str, path: str, reason: str = "POISONED") -> Call:
    return Call(name, stand_in, "storage", method, path, reason, reason, reason, reason)


def refused(reason: str) -> dict[str, str]:
    """The same reason for 404 and for 409."""
    return {"not_found": reason, "conflict": reason}


def registry(name: str, method: str, path: str, not_found: str = "IMAGE_UNREADABLE") -> Call:
    unreadable = "IMAGE_UNREADABLE"
    return Call(name, "registry", "registry", method, path, unreadable, not_found, unreadable, subject="sha256:")


READS = (
    foundry("read the agent", "GET", r"/agents/hello-agent\?"),
    foundry("list versions", "GET", r"/agents/hello-agent/versions\?"),
    foundry("read a version", "GET", r"/agents/hello-agent/versions/\d+\?"),
    foundry("list toolbox versions", "GET", r"/toolboxes/.+/versions", **refused("TOOLBOX_REFUSED")),
    vault("read a secret", r"/secrets/hello-key", not_found="SECRET_MISSING", subject="hello-key"),
    vault("list secrets", r"/secrets\?"),
    registry("get a token", "POST", r"/oauth2/"),
    registry("read a manifest", "GET", r"/v2/.+/manifests/", not_found="IMAGE_GONE"),
    registry("read a configuration", "GET", r"/v2/.+/blobs/", not_found="IMAGE_GONE"),
)
WRITES = (
    foundry("create a version", "POST", r"/agents/hello-agent/versions", **refused("CREATE_REFUSED")),
    foundry("move the traffic", "PATCH", r"/agents/hello-agent\?", **refused("ROUTE_REFUSED")),
    foundry("create a toolbox", "POST", r"/toolboxes/.+/versions", **refused("TOOLBOX_REFUSED")),
)
STORAGE_CALLS = (
    storage("read the desired state", "blobs", "GET", "/desired/"),
    storage("read the release state", "blobs", "GET", "/release/"),
    storage("write the desired state", "blobs", "PUT", "/desired/"),
    storage("write the release state", "blobs", "PUT", r"/release/(?!.*comp=lease)"),
    storage("lease the release", "blobs", "PUT", r"/release/.*comp=lease"),
    storage("write the journal", "blobs", "PUT", "/journal/", reason="LIVE"),
    storage("send to the queue", "queues", "POST", "/releases/messages"),
)
CALLS = (*READS, *WRITES, *STORAGE_CALLS)


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault, and the code that the decision about it names."""

    name: str
    code: str
    fault: dict[str, Any] = field(default_factory=dict)

    def on(self, call: Call, **options: Any) -> Fault:
        return Fault(path=call.path, method=call.method, **{**self.fault, **options})


PAGE = f"<html><title>Bad gateway</title>{CANARY}</html>"
HALF = f'{{"name": "hello-agent", "value": "{CANARY}", "data": [{{"ver'


def answered(status: int, **options: Any) -> FaultKind:
    return FaultKind(str(status), str(status), {"status": status, **options})


TEMPORARY = (
    answered(429),
    FaultKind("429 with Retry-After", "429", {"status": 429, "headers": {"Retry-After": "7"}}),
    FaultKind("429 with a long Retry-After", "429", {"status": 429, "headers": {"Retry-After": "90"}}),
    *(answered(status) for status in (500, 502, 503)),
    FaultKind("503 with a page", "503", {"status": 503, "body": PAGE}),
    FaultKind("HTML", "no answer", {"status": 200, "body": PAGE}),
    FaultKind("half an answer", "no answer", {"status": 200, "body": HALF}),
    FaultKind("closed", "no answer", {"drop": True}),
    FaultKind("slow", "no answer", {"status": 503, "delay_s": LATE_ANSWER}),
)
AFTER_EFFECT = (
    *(
        FaultKind(f"{status} after effect", str(status), {"status": status, "after_effect": True})
        for status in (500, 502, 503)
    ),
    FaultKind("HTML after effect", "no answer", {"status": 200, "body": PAGE, "after_effect": True}),
    FaultKind("cut in the middle", "no answer", {"cut": True}),
    FaultKind("closed after effect", "no answer", {"drop": True, "after_effect": True}),
    FaultKind("slow after effect", "no answer", {"delay_s": LATE_ANSWER, "after_effect": True}),
)
RETRY_WORDS = "The resource already exists or was modified concurrently. Please retry."
RETRY_CONFLICT = FaultKind(
    "409 please retry", "conflict", {"status": 409, "body": {"error": {"code": "conflict", "message": RETRY_WORDS}}}
)
"""Azure/azure-sdk-for-net#58060."""
PREVIEW_WORDS = "Hosted agents is in preview. Include the 'Foundry-Features: HostedAgents=V1Preview' header."
PREVIEW = FaultKind(
    "403 preview",
    "preview_feature_required.*Foundry-Features",
    {"status": 403, "body": {"error": {"code": "preview_feature_required", "message": PREVIEW_WORDS}}},
)
LOCKED = (answered(423), answered(425))
DENIED = (answered(401), FaultKind("403", "403|FORBIDDEN", {"status": 403}))
NOT_FOUND, CONFLICT = answered(404), answered(409)
PERSISTENT = (*TEMPORARY, *DENIED, NOT_FOUND, CONFLICT)


def expected_reason(call: Call, kind: FaultKind) -> str:
    """The reason code with which a release ends or waits while the fault lasts."""
    if kind in DENIED:
        return call.denied
    if kind is NOT_FOUND:
        return call.not_found
    if kind is PREVIEW:
        return "PREVIEW_REQUIRED"
    return call.conflict if kind in (CONFLICT, RETRY_CONFLICT) else call.unavailable
