"""Every step of the verification: a little Sigstore gets it wrong, and without a check of ours some case is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handlers.gateways.signatures import SignatureVerifier
from tests.support.signature_cases import CASES, DIGEST, Case, unreachable

VERIFIER, BUNDLES, SIGNERS = "handlers.gateways.signatures", "core.signatures", "core.agents_file.signers"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_each_signature_has_its_verdict(case: Case) -> None:
    check = await SignatureVerifier(unreachable).verify([case.bundle], DIGEST, case.release)
    assert (check.verdict, case.problem in check.detail) == (case.verdict, True), check.detail
    assert "\n" not in check.detail


MUTANTS = [
    (VERIFIER, "if envelope.has_certificate:", "if False:"),
    (VERIFIER, "if problem := statement_problem(payload, digest):", "if problem := '':"),
    (VERIFIER, '        raise VerificationError("signed_by does not name the signer")', "        return"),
    (VERIFIER, "matches(signer, identity, issuer) and _runs_for(signer, cert)", "_runs_for(signer, cert)"),
    (VERIFIER, "matches(signer, identity, issuer) and _runs_for(signer, cert)", "matches(signer, identity, issuer)"),
    (VERIFIER, "if len(found) != 1:", "if not found:"),
    (VERIFIER, "or _extension(cert, ISSUERS[1], as_der=False)", ""),
    (VERIFIER, ".verify([key], 1)", ""),
    (VERIFIER, "            continue\n", "            return str(signer)\n"),
    (VERIFIER, 'scheme = "rsa-pkcs1v15-sha256" if', "scheme = None if"),
    (VERIFIER, '    raise BundleError(f"is signed with another key{hint}")', '    return "anybody"'),
    (
        VERIFIER,
        "            return SignatureCheck(Verdict.UNKNOWN, str(error))",
        "            return SignatureCheck(Verdict.NONE)",
    ),
    (VERIFIER, "if release.trusted_root is not None:", "if False:"),
    (VERIFIER, "verifier.verify_dsse(Bundle.from_json(data), policy)", "(PAYLOAD_TYPE, parse_bundle(data).payload)"),
    (BUNDLES, "media_type not in BUNDLE_TYPES", "False"),
    (BUNDLES, "len(signatures) != 1", "not signatures"),
    (BUNDLES, "if payload_type != PAYLOAD_TYPE:", "if False:"),
    (BUNDLES, 'if has_certificate == ("publicKey" in material):', "if False:"),
    (BUNDLES, "validate=True", "validate=False"),
    (BUNDLES, 'if str(statement.get("_type")) not in STATEMENT_TYPES:', "if False:"),
    (BUNDLES, 'if digest.removeprefix("sha256:") not in digests:', "if False:"),
    (SIGNERS, "return all(re2.fullmatch(", "return any(re2.fullmatch("),
    (SIGNERS, "re2.fullmatch(pattern, text, QUIET)", "re2.search(pattern, text, QUIET)"),
]
"""A module, a check of it, and the module without that check."""


def load(name: str, source: str, folder: Path) -> ModuleType:
    """A module of changed source, beside the real one."""
    file = folder / f"changed_{name.replace('.', '_')}.py"
    file.write_text(source)
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[file.stem] = module  # where dataclasses looks for the types that they name
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def changed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The verifier, where a module lacks a check."""
    name, before, after = request.param
    sources = {module: Path(str(import_module(module).__file__)).read_text() for module in (VERIFIER, name)}
    assert before in sources[name]
    sources[name] = sources[name].replace(before, after)
    verifier = load(VERIFIER, sources[VERIFIER], tmp_path)
    if name != VERIFIER:
        names = vars(load(name, sources[name], tmp_path)).items()
        vars(verifier).update({key: value for key, value in names if key[0] != "_" and key in vars(verifier)})
    yield verifier.SignatureVerifier(unreachable)
    for file in tmp_path.glob("changed_*.py"):
        del sys.modules[file.stem]


@pytest.mark.parametrize("changed", MUTANTS, ids=[before.strip()[:50] for _, before, _ in MUTANTS], indirect=True)
def test_a_check_that_is_missing_is_found(changed: Any) -> None:
    assert any(is_wrong(case, changed) for case in CASES)


def is_wrong(case: Case, verifier: Any) -> bool:
    """True where the verdict about a case, or its reason, is not the right one."""
    check = verifier.verify_one(case.bundle, DIGEST, case.release)
    return bool(check.verdict.value != case.verdict.value or case.problem not in check.detail)
