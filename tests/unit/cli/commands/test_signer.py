"""Who signed an image, as the commands that show versions and decisions say it."""

from __future__ import annotations

from datetime import timedelta

from cli.commands.status import show_status
from cli.commands.versions import list_versions
from cli.commands.why import explain
from core.agents_file.loader import load_agents
from local.signing import public_pem
from local.telemetry.board import to_row
from tests.support.app import AGENT, App
from tests.support.signing import RELEASE_KEY, signature_of
from tests.unit.cli.support import context_of, make_live

RULE = b"agents: {hello-agent: {repository: agents/hello, release: {debounce: 0s, signed_by: [{key: a.pub}]}}}"
SIGNER = "key a.pub"


async def signed(*letters: str, mode: bytes = b"auto") -> App:
    """Every image is signed; those of the letters went live."""
    rule = RULE.replace(b"debounce: 0s", b"debounce: 0s, mode: " + mode)
    app = App(agents=load_agents(rule, lambda _: public_pem(RELEASE_KEY)))
    for digest in (f"sha256:{letter * 64}" for letter in "abc"):
        app.registry.signatures[digest] = [signature_of(digest)]
    await make_live(app, *letters)
    return app


async def test_why_names_the_signer_of_decisions_and_of_the_good_version() -> None:
    result = await explain(context_of(await signed("a")), "v1", timedelta(days=1))
    signers = {line["reason"]: line.get("signer") for line in result.data["decisions"]}
    assert (signers["ACCEPTED"], signers["CREATE"], signers["LIVE"]) == (None, SIGNER, SIGNER)
    assert f"last good: agents/hello:v1 sha256:aaaaaaaaaaaa, signed by {SIGNER}" in result.text


async def test_why_names_the_signer_of_a_candidate() -> None:
    app = await signed(mode=b"manual")
    await app.pushed("v1", "a")
    await app.released()
    result = await explain(context_of(app), "v1", timedelta(days=1))
    assert f"sha256:aaaaaaaaaaaa, signed by {SIGNER}, " in result.text


async def test_status_and_the_board_name_the_signer_of_what_serves() -> None:
    (row,) = (await show_status(context_of(await signed("a")), AGENT)).data
    assert row["live_signer"] == to_row(row)["live_signer"] == SIGNER
    app = App()
    await make_live(app, "a")
    (row,) = (await show_status(context_of(app), AGENT)).data
    assert row["live_signer"] is None


async def test_versions_names_the_signers_of_the_two_good_versions() -> None:
    result = await list_versions(context_of(await signed("a", "b", "c")), AGENT)
    assert [row["signer"] for row in result.data] == [SIGNER, SIGNER, None]
    assert result.text.splitlines()[1].endswith(f"KEPT_LIVE: traffic goes to the version; signed by {SIGNER}")
