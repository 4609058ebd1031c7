"""The remedies of what happens around a release, or to a timer: each situation takes several steps to provoke."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from core.reasons import Reason
from handlers.gateways.storage.state_store import CONTAINER
from local.signing import sign_image, stack_key
from local.stack_client import stack
from tests.e2e.night import Night
from tests.e2e.remedies import IN_STEPS

pytestmark = pytest.mark.timeout(1500)

AGENTS = {reason: reason.lower().replace("_", "-") for reason in IN_STEPS}
MANUAL = ("candidate-gone", "agent-deleted", "routing-changed", "no-rollback-version")
AUTO = ("rolled-back-by", "variable-removed", "version-limit-near")
OF_TIMERS = ("MISSED_PUSH_CHECK_FAILED", "IMAGES_IN_USE_UNKNOWN", "ROTATION_CHECK_FAILED")


def agents_yaml(step: int) -> str:
    lines = (
        f"  {AGENTS[code]}-agent: {{repository: night/{AGENTS[code]}, {k[step]}}}\n" for code, k in IN_STEPS.items()
    )
    return "agents:\n" + "".join(lines)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("stack")
    stack_key(folder)  # agents.yaml names its public key
    for file in ("agents.yaml", "good.yaml"):
        (folder / file).write_text(agents_yaml(0))
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        yield Night(up, folder)


def remedy(code: str, **names: str) -> str:
    return Reason[code].remedy_for(f"{AGENTS[code]}-agent", **names)


def test_the_remedy_of_what_a_timer_finds_ends_it(night: Night) -> None:
    refuse(night, "vault", fault("/secrets/unlisted-key", 403))
    night.push("images-in-use-unknown", "1.0.0", kind="index")
    night.wait_for("LIVE", "images-in-use-unknown")
    tags = "night%2Fmissed-push-check-failed/_tags"
    refuse(night, "registry_tls", fault(f"{tags}|night%2Fimages-in-use-unknown/manifests/", 403))
    night.a_day_passes()
    night.running.run_timer("resume_releases")
    night.running.run_timer("prune_versions")
    found = of_timers(night)
    assert set(found) == set(OF_TIMERS)
    for part in ("vault", "registry_tls"):
        night.running.put(part, "/_local/faults", [])
    for code in OF_TIMERS:
        night.slipway(remedy(code), 1)  # doctor exits with 1 while anything needs somebody
    assert "images-in-use-unknown" in night.slipway(remedy("IMAGES_IN_USE_UNKNOWN"))
    night.a_day_passes()
    night.running.run_timer("resume_releases")
    night.running.run_timer("prune_versions")
    assert of_timers(night) == found


@contextmanager
def container(night: Night) -> Iterator[ContainerClient]:
    """The container of states and journal."""
    with night.running.blobs() as account, account.get_container_client(CONTAINER) as client:
        yield client


def of_timers(night: Night) -> dict[str, int]:
    """How often each reason of a timer is in the journal."""
    return {reason: count for reason, count in night.recorded().items() if reason in OF_TIMERS}


def test_the_remedy_of_what_happens_around_a_release_ends_it(night: Night) -> None:
    prepare(night)
    provoke(night)
    codes = ("CANDIDATE_GONE", "AGENT_DELETED", "ROUTING_CHANGED", "ROLLED_BACK_BY", "VARIABLE_REMOVED")
    found_by_a_timer(night, (*codes, "IMAGE_GONE", "SIGNATURE_UNKNOWN"))
    mend(night)
    ends = dict.fromkeys((AGENTS[code] for code in codes), "LIVE") | dict.fromkeys(MANUAL[:3], "APPROVAL_WAITING")
    ends |= dict.fromkeys(("image-gone", "signature-unknown"), "LIVE")
    before = {name: night.counts()[name, end] for name, end in ends.items()}
    for code in codes:
        night.slipway(remedy(code))
    night.push("image-gone", "2.0.0")  # what the remedy's docker builds
    night.slipway(remedy("SIGNATURE_UNKNOWN"), 1)
    night.slipway(f"{remedy('VERSION_LIMIT_NEAR')} --yes")
    assert len(night.running.versions("version-limit-near-agent")) < 3
    night.wait_for_all(ends, more_than=before)


def prepare(night: Night) -> None:
    """Put versions live; those of mode manual have another that waits for approval."""
    release(night, "1.0.0", (*MANUAL, *AUTO), "1")
    release(night, "1.5.0", ("routing-changed", "rolled-back-by", "version-limit-near"), "2")
    release(night, "1.7.0", ("version-limit-near",), "3")
    before = {name: night.counts()[name, "APPROVAL_WAITING"] for name in MANUAL}
    for name in MANUAL:
        night.push(name, "2.0.0")
    night.wait_for_all(dict.fromkeys(MANUAL, "APPROVAL_WAITING"), more_than=before)


def release(night: Night, tag: str, names: Sequence[str], version: str) -> None:
    manual = [name for name in names if name in MANUAL]
    before = night.counts()
    for name in names:
        night.push(name, tag)
    waiting = dict.fromkeys(manual, "APPROVAL_WAITING")
    night.wait_for_all(waiting, more_than={name: before[name, code] for name, code in waiting.items()})
    for name in manual:
        night.slipway(f"slipway approve {name}-agent --version {version}")
    night.wait_for_all(dict.fromkeys(names, "LIVE"), more_than={name: before[name, "LIVE"] for name in names})


def provoke(night: Night) -> None:
    """Do what a person or a service does meanwhile."""
    night.running.run_timer("prune_versions")
    night.wait_for("VERSION_LIMIT_NEAR", "version-limit-near")
    night.slipway("slipway rollback rolled-back-by-agent --why 'wrong prices'")
    refused = night.slipway("slipway rollback no-rollback-version-agent --why 'wrong prices'", 1, 4)
    assert Reason.NO_ROLLBACK_VERSION.help_for("no-rollback-version-agent") in refused
    command = remedy("NO_ROLLBACK_VERSION").replace("VERSION", "2").replace("REASON", "'wrong prices'")
    known = {"rolled-back-by": 2, "no-rollback-version": 1}
    night.slipway(command)
    night.wait_for_all(dict.fromkeys(known, "LIVE"), more_than=known)
    with night.running.foundry() as project:
        project.agents.delete_version("candidate-gone-agent", "2")
        project.agents.delete("agent-deleted-agent")
    night.move_traffic("routing-changed", "1")
    gone, unknown = fault("night%2Fimage-gone/manifests/", 404), fault("signature-unknown/referrers/", 503)
    refuse(night, "registry_tls", gone, unknown)
    for name in ("image-gone", "signature-unknown"):
        night.push(name, "1.7.0")
    night.agents.write_text(agents_yaml(1))


def fault(path: str, status: int, body: Any = None) -> dict[str, Any]:
    """A read that is answered so."""
    error = {"error": {"code": "no", "message": "no"}}
    return {"method": "GET", "path": path, "status": status, "body": body or error}


def refuse(night: Night, part: str, *faults: dict[str, Any]) -> None:
    night.running.put(part, "/_local/faults", list(faults))


def found_by_a_timer(night: Night, codes: Sequence[str]) -> None:
    """For 75 s after its own write Slipway takes what it misses for an answer that is late."""
    for _ in range(8):
        night.running.run_timer("resume_releases")
        with suppress(AssertionError):
            night.wait_for_all({AGENTS[code]: code for code in codes}, timeout=20)
            return
    night.wait_for_all({AGENTS[code]: code for code in codes}, timeout=1)


def mend(night: Night) -> None:
    """Remove each cause, as the help of its reason says."""
    for part in ("foundry", "vault", "registry_tls"):
        night.running.put(part, "/_local/faults", [])
    variable = "VARIABLE_REMOVED"
    mended = agents_yaml(1).replace(IN_STEPS[variable][1], IN_STEPS[variable][0])
    for file in ("agents.yaml", "good.yaml"):
        (night.folder / file).write_text(mended)
    digest = night.push("signature-unknown", "1.7.0")
    registry = night.running.endpoints["registry"]
    asyncio.run(sign_image(registry, "night/signature-unknown", digest, stack_key(night.folder)))
