"""What ``release.signed_by`` costs: nothing without it; with it requests to the registry and processor time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from bench.lists import DIGEST, REPOSITORY, LocalRegistry, count, served
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from core.agents_file.loader import load_agents
from core.signatures import SignatureBundle, Verdict
from handlers.gateways.signatures import SignatureVerifier
from local.endpoints import ROOT
from local.images import push
from local.registry.server import Registry
from local.signing import bundle, new_key, public_pem, sign_image, statement

PACKAGES = ("sigstore", "securesystemslib", "tuf", "rfc3161_client")
RELEASE = "import asyncio, sys; from bench.unasked import release_calls; asyncio.run(release_calls());"
AGENTS = b"agents: {hello-agent: {repository: agents/hello, release: {signed_by: [{key: release.pub}]}}}"


def rows(effort: Effort) -> Iterator[Row]:
    """Imports without a rule; requests and processor time with one."""
    yield _imports_row()
    yield _requests_row()
    yield _time_row(effort)


def _imports_row() -> Row:
    code = f"{RELEASE} print(len({set(PACKAGES)} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return Row(
        name="signatures, no rule",
        description="packages that verify signatures, imported by a release without `signed_by`",
        unit="packages",
        value=int(done.stdout.split()[-1]),
        target=0,
        bound=0,
        bound_description="they are imported once a rule asks; the row calls nobody asked for counts the reads",
        method=f"A release on gateways in memory, in a fresh interpreter; the packages are {', '.join(PACKAGES)}",
    )


def _requests_row() -> Row:
    signed, tagged = (asyncio.run(signature_requests(1, has_api=has_api)) for has_api in (True, False))
    return Row(
        name="signatures, requests",
        description="requests to the registry for the signatures of an image that has one, one after the other",
        unit="requests",
        value=signed,
        target=3,
        bound=3,
        bound_description="the list of referrers, the manifest of the signature, its bundle",
        method="The product's gateway with the real SDK, whose token is known; the stand-in counts. They run beside "
        "Foundry's answers and the two requests that inspect the image",
        details={
            "without the referrers API": tagged,
            "not signed yet": asyncio.run(signature_requests(0)),
            "10 signatures": asyncio.run(signature_requests(10)),
        },
    )


async def signature_requests(signatures: int, *, has_api: bool = True) -> int:
    """The registry's requests for the signatures of an image."""
    registry = Registry("demo")
    registry.referrers.enabled = has_api
    async with served(registry) as (url, options):
        host, gateway = registry.url.removeprefix("http://"), LocalRegistry(url, options)
        digest = await push(host, REPOSITORY, "v1")
        for _ in range(signatures):
            await sign_image(host, REPOSITORY, digest, new_key())
        await gateway.list_signatures(REPOSITORY, digest)  # fetches the token
        before = count(registry)
        found = await gateway.list_signatures(REPOSITORY, digest)
        await gateway.close()
        if len(found) != signatures:
            raise NotMeasuredError(f"{len(found)} signatures were found")
        return count(registry) - before


def _time_row(effort: Effort) -> Row:
    key = new_key()
    signed = SignatureBundle(DIGEST, json.dumps(bundle(statement(DIGEST), key)).encode())
    release = load_agents(AGENTS, lambda _: public_pem(key)).agents["hello-agent"].release
    verifier, times = SignatureVerifier(), list[float]()
    for _ in range(effort.choose(101, 11)):
        began = time.process_time()
        check = verifier.verify_one(signed, DIGEST, release)
        times.append(1000 * (time.process_time() - began))
        if check.verdict is not Verdict.VERIFIED:
            raise NotMeasuredError(check.detail)
    return Row(
        name="signatures, processor time",
        description="processor time of the verification of a signature with a key, once the libraries are loaded",
        unit="ms",
        value=median(times),
        target=50,
        method=f"Median of {len(times)} verifications in one process",
        details={"the first, with the import": times[0]},
    )
