"""Histories with ``release.signed_by``: some images are signed at once, some late, some by another, some never.

No version is created for an image without a signature that verifies, and what is signed gets live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from core.agents_file.spec import AgentSpec, ReleaseSpec
from core.model import Definition, Push
from core.release import rules_candidate
from core.release.actions import Action
from core.release.inputs import DecisionInput
from core.signatures import SignatureBundle, SignatureCheck, Verdict, not_verified
from handlers.events.signature_pushed import wake_releases
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, Registry
from handlers.gateways.signatures import SignatureVerifier
from tests.simulation import actors
from tests.simulation.faults import PROCESS, Log
from tests.simulation.liveness_invariants import check_end
from tests.simulation.mutants import Override
from tests.simulation.registry_world import UNDEPLOYABLE, is_left_unchecked
from tests.simulation.release_mutants import instead_of
from tests.simulation.run import History, Mutant
from tests.simulation.scene import AGENT, REPOSITORY, Behaviour
from tests.simulation.seeds import play

SIGNER, STRANGER = "ana", "eve"
SIGNED_BY = f"[{{identity: {SIGNER}, issuer: contoso}}]"
DELAYS = (0.0, 0.0, 5.0, 60.0, 300.0)
"""Seconds from a push to its signature: ``signed_within`` is longer."""


def bundle(signer: str, digest: str) -> SignatureBundle:
    """A signature of an image; what a real one proves is written in it."""
    return SignatureBundle(digest, f"{signer} {digest}".encode())


class Verifier:
    """Stands in for the cryptography: it believes what is written in a bundle."""

    async def verify(self, bundles: Sequence[SignatureBundle], digest: str, release: ReleaseSpec) -> SignatureCheck:
        if not bundles:
            return SignatureCheck(Verdict.NONE, "no signature was found")
        if bundle(SIGNER, digest) in bundles:
            return SignatureCheck(Verdict.VERIFIED, f"signed by {SIGNER}", SIGNER)
        return not_verified(["is signed by another, or signs another image"])


class SignedHistory(History):
    """A history in which images are signed some time after their push."""

    def __init__(self, seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> None:
        super().__init__(seed, harsh=harsh, log=log, mutant=mutant)
        self.is_asked_late = self.random.random() < 0.3
        """Whether a deployment adds the rule to an agent that runs already."""
        self.signing: set[str] = set()
        """Images that are signed, or will be."""
        if not self.is_asked_late:
            self.ask()
        self.oracle.check_definition = self.check_signed

    def _gateways(self) -> Gateways:
        return replace(super()._gateways(), signatures=cast("SignatureVerifier", Verifier()))

    def ask(self) -> None:
        """From now on the rule asks for a signature."""
        self.scene = replace(self.scene, signed_by=SIGNED_BY)
        self.oracle.spec = self.agents.agents[AGENT]

    def check_signed(self, definition: Definition) -> None:
        """Fail where a version is created for an image without a signature that verifies."""
        digest = definition.image.rpartition("@")[2]
        is_signed = bundle(SIGNER, digest) in self.registry.signatures.get(digest, [])
        if self.oracle.spec.release.signed_by and not is_signed and not PROCESS.get().dead:
            self.oracle.fail(f"a version was created for {digest[-4:]}, which is not signed")

    def push(self, push: Push) -> None:
        super().push(push)
        if push.digest not in self.signing:
            self.signing.add(push.digest)
            self.spawn(self.sign(push.digest, SIGNER, self.random.choice(DELAYS)))

    async def sign(self, digest: str, signer: str, delay: float, signed: str = "") -> None:
        """A pipeline signs an image, and the event of its push comes, or does not."""
        await asyncio.sleep(delay)
        self.registry.signatures.setdefault(digest, []).append(bundle(signer, signed or digest))
        self.log(f"{signer} signs {digest[-4:]}")
        if self.random.random() < 0.7:
            wake = self.until_done("signature_pushed", lambda: wake_releases([REPOSITORY], self.agents, self.gateways))
            self.spawn(wake)


async def push_unsigned(history: History, number: int) -> None:
    """An image that nobody signs, or a stranger, or whose signature is that of another image."""
    assert isinstance(history, SignedHistory)
    random, digest = history.random, f"sha256:{UNDEPLOYABLE + number:064x}"
    other = random.choice(history.digests or [f"sha256:{0:064x}"])
    history.foundry.behaviours[digest] = Behaviour.GOOD
    pushed = Push(REPOSITORY, digest, f"odd-{number}", history.clock.now(), f"event-odd-{number}")
    history.registry.push(REPOSITORY, pushed.tag, digest, pushed.pushed_at)
    signs = random.choice([(), (STRANGER, ""), (STRANGER, other), (SIGNER, other)])
    history.log(f"push {pushed.tag}, which is not signed: {signs}")
    if signs:
        history.spawn(history.sign(digest, signs[0], random.choice(DELAYS), signs[1]))
    for copy in range(random.choice([0, 1, 1, 2])):
        history.spawn(actors.deliver(history, pushed, random.choice([0.0, 5.0, 90.0]) * copy))


async def ask(history: History, number: int) -> None:
    """A deployment adds the rule, while something may be under way."""
    assert isinstance(history, SignedHistory)
    if history.is_asked_late:
        history.deploy(replace(history.scene, signed_by=SIGNED_BY))


ACTORS = (*actors.ACTORS, (push_unsigned, 5), (ask, 2))


def simulate(seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> SignedHistory:
    """Run a history; raise InvariantError where an invariant does not hold."""
    return play(SignedHistory(seed, harsh=harsh, log=log, mutant=mutant), _run)


async def _run(history: SignedHistory) -> None:
    await history.run(actors.prepare, ACTORS, actors.finish)
    if not history.is_asked_late and not is_left_unchecked(history):
        check_end(history)


def _create_does_not_ask(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """What was known when the release began counts for its create."""
    release = spec.release.model_copy(update={"signed_by": ()})
    return rules_candidate.create_version(inputs, spec.model_copy(update={"release": release}), now)


class _AnySignature(Verifier):
    async def verify(self, bundles: Sequence[SignatureBundle], digest: str, release: ReleaseSpec) -> SignatureCheck:
        check = await super().verify(bundles, digest, release)
        return replace(check, verdict=Verdict.VERIFIED) if bundles else check


class _AnyDigest(Verifier):
    async def verify(self, bundles: Sequence[SignatureBundle], digest: str, release: ReleaseSpec) -> SignatureCheck:
        by_signer = [item for item in bundles if item.data.startswith(SIGNER.encode())]
        return await super().verify([bundle(SIGNER, digest)] if by_signer else bundles, digest, release)


def _verifier(verifier: Verifier) -> Mutant:
    return Mutant(lambda gateways: replace(gateways, signatures=cast("SignatureVerifier", verifier)))


def _no_answer_is_a_signature(gateways: Gateways) -> Gateways:
    async def list_signatures(repository: str, digest: str) -> Sequence[SignatureBundle]:
        try:
            return await gateways.registry.list_signatures(repository, digest)
        except GatewayError:
            return [bundle(SIGNER, digest)]

    registry: Any = Override(gateways.registry, list_signatures=list_signatures)
    return replace(gateways, registry=cast("Registry", registry))


SIGNATURE_MUTANTS = {
    "a push displaces before its signature is known": instead_of("signature", lambda inputs, spec, now: None),
    "the create does not ask": instead_of("create_version", _create_does_not_ask),
    "any signature counts": _verifier(_AnySignature()),
    "a signature of another image counts": _verifier(_AnyDigest()),
    "no answer counts as a signature": Mutant(_no_answer_is_a_signature),
}
"""By the missing safeguard."""
