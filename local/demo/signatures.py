"""The scenes about signatures: only an image that a named key signed becomes a version."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from local.demo.assertions import has_versions, version_is_live
from local.demo.scenario import Scenario, Scene

SIGNED = "signed-agent"


async def unsigned(scenario: Scenario) -> None:
    """Push an image that nobody signs."""
    scenario.output.scene("An image that nobody signs waits for a signature, and is refused")
    await scenario.push(SIGNED, "v1-unsigned", "unsigned", "SIGNATURE_MISSING")
    await scenario.check(SIGNED, ("no version was created", has_versions(0)))


async def signed(scenario: Scenario) -> None:
    """Push an image, and sign it with the key of the stack."""
    scenario.output.scene("A signed image goes live")
    digest = await scenario.push_signed(SIGNED, "v1", scenario.driver.signing_key(), "LIVE")
    await scenario.check(SIGNED, ("version 1 is live, by digest", version_is_live("1", digest)))


async def signed_with_another_key(scenario: Scenario) -> None:
    """Push an image, and sign it with a key that agents.yaml does not name."""
    scenario.output.scene("A signature by another key does not count")
    key = ec.generate_private_key(ec.SECP256R1())
    await scenario.push_signed(SIGNED, "v2-other-key", key, "SIGNATURE_INVALID")
    await scenario.check(SIGNED, ("version 1 is still the only one", has_versions(1)))


SIGNATURE_SCENES: tuple[tuple[str, Scene], ...] = (
    (SIGNED, unsigned),
    (SIGNED, signed),
    (SIGNED, signed_with_another_key),
)
