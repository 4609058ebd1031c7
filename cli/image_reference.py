"""Resolves an image that the user names to the push that a release starts from."""

from __future__ import annotations

import re

from cli.exit_codes import UsageError
from core.agents_file.spec import AgentSpec
from core.image_manifest import RegistryTag
from core.image_reference import DIGEST
from core.model import Push
from handlers.gateways.interfaces import Gateways

EVENT_ID = "person"
"""Stands for the id of an event in a push that a user requested."""
REFERENCE = re.compile(r"(?P<name>[^@:\s]+(?::[0-9]+/[^@:\s]+)?)(?::(?P<tag>[^@/\s]+))?(?:@(?P<digest>\S+))?")


async def resolve_push(reference: str, spec: AgentSpec, login_server: str, gateways: Gateways) -> Push:
    """Return the push with the tag's current digest, or with a tag of the digest; raise UsageError if none exists."""
    repository, tag, digest = _parse(reference, spec, login_server)
    if tag is not None:
        tags = await gateways.registry.recent_tags(repository, tag)
        found = next((item for item in tags if item.tag == tag), None)
        if found is None and digest is None:
            raise UsageError(_unknown_tag(repository, tag, [item.tag for item in tags]))
    else:
        found = await find_tag_of_digest(repository, digest or "", gateways)
    if digest is not None and found is not None and found.digest != digest:
        raise UsageError(f"{repository}:{tag} is {found.digest} now, not {digest}; leave one of the two out")
    if digest is None and found is not None:
        digest = found.digest
    if found is None and await gateways.registry.inspect(repository, digest or "") is None:
        raise UsageError(f"the registry has no {repository}@{digest}")
    at = found.pushed_at if found else gateways.clock.now()
    return Push(repository, digest or "", tag or (found.tag if found else ""), at, EVENT_ID)


async def find_tag_of_digest(repository: str, digest: str, gateways: Gateways) -> RegistryTag | None:
    """Return the last pushed tag that names the digest."""
    tags = await gateways.registry.list_tags(repository, lambda page: any(tag.digest == digest for tag in page))
    return next((tag for tag in tags if tag.digest == digest), None)


def _parse(reference: str, spec: AgentSpec, login_server: str) -> tuple[str, str | None, str | None]:
    """Return repository, tag and digest."""
    if DIGEST.fullmatch(reference):
        return spec.repository, None, reference
    match = REFERENCE.fullmatch(reference.removeprefix(f"{login_server}/"))
    if match is None:
        raise UsageError(f"{reference} is not an image; write REPOSITORY:TAG or REPOSITORY@sha256:…")
    repository, tag, digest = match["name"], match["tag"], match["digest"]
    if digest is not None and not DIGEST.fullmatch(digest):
        raise UsageError(f"{digest} is not a digest; write sha256: and 64 hex digits")
    if repository != spec.repository:
        is_bare_name = "/" not in repository and tag is None and digest is None
        hint = f"; for its tag write {spec.repository}:{repository}" if is_bare_name else "; see agents.yaml"
        raise UsageError(f"{spec.name} follows {spec.repository}, not {repository}{hint}")
    if tag is None and digest is None:
        raise UsageError(f"add :TAG or @sha256:… to {repository}")
    return repository, tag, digest


def _unknown_tag(repository: str, tag: str, tags: list[str]) -> str:
    from core.similar_names import did_you_mean, most_similar

    newest = f"the newest are {', '.join(tags[:3])}" if tags else "the repository has none, or does not exist"
    return f"{repository} has no tag {tag}; {did_you_mean(most_similar(tag, tags), newest)}"
