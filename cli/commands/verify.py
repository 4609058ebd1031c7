"""``slipway verify``: shows each signature of an image, and whether it is one that ``release.signed_by`` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import BAD_RESULT, DONE, NOTHING_TO_DO, SERVICE_ERROR, UsageError
from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from core.agents_file.spec import AgentSpec
    from core.model import Push
    from core.signatures import SignatureBundle, SignatureCheck

HEADINGS = ("AGENT", "SIGNATURE", "VERDICT", "DETAIL")
EXIT_CODES = {"verified": DONE, "none": BAD_RESULT, "invalid": BAD_RESULT, "unknown": SERVICE_ERROR}
"""Of the verdict about an image; the highest code of all agents counts."""
Row = dict[str, Any]


def verify(
    image: Annotated[str, typer.Argument(help="REPOSITORY:TAG or REPOSITORY@sha256:…, with or without registry.")],
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Show an image's signatures with verdicts. By the rules of the agents that follow its repository."""
    run_and_print(local, as_json, lambda context: verify_image(context, image))


async def verify_image(context: CommandContext, reference: str) -> CommandResult:
    """Return a row per agent and signature; raise UsageError for a wrong reference, GatewayError if a read fails."""
    from cli.image_reference import resolve_push

    registry, login_server = context.gateways.registry, context.settings.registry_login_server
    followers = _followers(context, reference)
    push = await resolve_push(reference, followers[0], login_server, context.gateways)
    context.progress.activity = "reading the signatures"
    bundles = await registry.list_signatures(push.repository, push.digest)
    rows = [await _row(context, spec, bundles, push) for spec in _with_rules(followers)]
    image = {"repository": push.repository, "tag": push.tag or None, "digest": push.digest}
    data = {**image, "signature_count": len(bundles), "agents": rows}
    if not rows:
        text = f"no agent that follows {push.repository} has release.signed_by; signatures of the image: {len(bundles)}"
        return CommandResult(text, data, NOTHING_TO_DO)
    return CommandResult(_text(push, rows), data, max(EXIT_CODES[row["verdict"]] for row in rows))


def _followers(context: CommandContext, reference: str) -> Sequence[AgentSpec]:
    """Return the targets of all stages whose repository the reference names."""
    name = reference.removeprefix(f"{context.settings.registry_login_server}/").split("@")[0]
    specs = context.agents.agents.values()
    found = [spec for spec in specs if spec.repository == name or name.startswith(f"{spec.repository}:")]
    if not found:
        repositories = ", ".join(sorted({spec.repository for spec in specs})) or "no repository"
        raise UsageError(f"no agent follows {name}; agents.yaml has {repositories}")
    return found


def _with_rules(specs: Sequence[AgentSpec]) -> Sequence[AgentSpec]:
    """Return one target for each rule of an agent: most agents have the same in all stages."""
    rules = {(spec.agent, spec.release.signed_by, spec.release.trusted_root): spec for spec in reversed(specs)}
    return [spec for spec in reversed(rules.values()) if spec.release.signed_by]


async def _row(context: CommandContext, spec: AgentSpec, bundles: Sequence[SignatureBundle], push: Push) -> Row:
    from asyncio import to_thread

    from core.signatures import check_of_image

    verifier, release = context.gateways.signatures, spec.release
    context.progress.activity = f"verifying the signatures for {spec.name}"
    checks = [await to_thread(verifier.verify_one, bundle, push.digest, release) for bundle in bundles]
    return {
        "agent": spec.name,
        "signed_by": [str(signer) for signer in release.signed_by],
        **_verdict(check_of_image(zip(bundles, checks, strict=True))),
        "signatures": [
            {"digest": bundle.digest, **_verdict(check)} for bundle, check in zip(bundles, checks, strict=True)
        ],
    }


def _verdict(check: SignatureCheck) -> Row:
    return {"verdict": check.verdict.value, "signer": check.signer or None, "detail": check.detail}


def _text(push: Push, rows: Sequence[Row]) -> str:
    from cli.output import columns, join_lines

    cells = [HEADINGS]
    for row in rows:
        found = row["signatures"] or [{**row, "digest": ""}]
        cells += [(row["agent"], item["digest"][:19], item["verdict"], item["detail"]) for item in found]
    results = [f"{row['agent']}: {row['verdict']}; signed_by names {', '.join(row['signed_by'])}" for row in rows]
    return "\n".join([columns(cells), join_lines(f"{push.repository} {push.digest}", *results)])
