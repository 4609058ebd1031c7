"""An image as a person names it, as the push that a release is made of."""

from __future__ import annotations

import re

from cli.codes import Mistake
from core.agents_file.spec import AgentSpec
from core.events import DIGEST
from core.model import Push
from handlers.gateways.interfaces import Gateways

EVENT = "person"
"""What stands in for the id of an event."""
REFERENCE = re.compile(r"(?P<name>[^@:\s]+(?::[0-9]+/[^@:\s]+)?)(?::(?P<tag>[^@/\s]+))?(?:@(?P<digest>\S+))?")


async def resolve(reference: str, spec: AgentSpec, login_server: str, gateways: Gateways) -> Push:
    """The digest that a tag means now, or a tag that means the digest; raises Mistake for what is not there."""
    repository, tag, digest = _parts(reference, spec, login_server)
    listed = await gateways.registry.list_tags(repository)
    if tag is not None:
        found = next((one for one in listed if one.tag == tag), None)
        if found is None and digest is None:
            raise Mistake(_no_tag(repository, tag, [one.tag for one in listed]))
    else:
        found = next((one for one in listed if one.digest == digest), None)
    if digest is not None and found is not None and found.digest != digest:
        raise Mistake(f"{repository}:{tag} is {found.digest} now, not {digest}; leave one of the two out")
    if digest is None and found is not None:
        digest = found.digest
    if found is None and await gateways.registry.inspect(repository, digest or "") is None:
        raise Mistake(f"the registry has no {repository}@{digest}")
    at = found.pushed_at if found else gateways.clock.now()
    return Push(repository, digest or "", tag or (found.tag if found else ""), at, EVENT)


def _parts(reference: str, spec: AgentSpec, login_server: str) -> tuple[str, str | None, str | None]:
    if DIGEST.fullmatch(reference):
        return spec.repository, None, reference
    found = REFERENCE.fullmatch(reference.removeprefix(f"{login_server}/"))
    if found is None:
        raise Mistake(f"{reference} is no image; write REPOSITORY:TAG or REPOSITORY@sha256:…")
    repository, tag, digest = found["name"], found["tag"], found["digest"]
    if digest is not None and not DIGEST.fullmatch(digest):
        raise Mistake(f"{digest} is no digest; one is sha256: and 64 hex digits")
    if repository != spec.repository:
        alone = "/" not in repository and tag is None and digest is None
        hint = f"; for its tag write {spec.repository}:{repository}" if alone else "; see agents.yaml"
        raise Mistake(f"{spec.name} follows {spec.repository}, not {repository}{hint}")
    if tag is None and digest is None:
        raise Mistake(f"say which of {repository}: :TAG or @sha256:…")
    return repository, tag, digest


def _no_tag(repository: str, tag: str, listed: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(tag, listed, 1)
    newest = f"; the newest are {', '.join(listed[:3])}" if listed else "; the repository has none, or is not there"
    return f"{repository} has no tag {tag}" + (f"; did you mean {near[0]}?" if near else newest)
