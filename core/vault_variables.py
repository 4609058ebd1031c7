"""Decides which variables an agent keeps whose tags are gone: a new version of a secret has no tags of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.agents_file.spec import AgentSpec
from core.definition import Note
from core.model import TaggedSecret
from core.reasons import Reason


@dataclass(frozen=True, slots=True)
class VaultVariables:
    """The variables that the vault gives an agent: variable -> secret."""

    secrets: Mapping[str, str]
    kept: Mapping[str, TaggedSecret]
    """Those of them whose tags are gone."""
    notes: tuple[Note, ...] = ()

    def to_remember(self, versions: Mapping[str, str]) -> Mapping[str, TaggedSecret]:
        """What the state remembers, with the version id of each secret that was read."""
        now = {name: TaggedSecret(secret, versions.get(secret, "")) for name, secret in self.secrets.items()}
        return {**now, **self.kept}


def without_tags(
    spec: AgentSpec, tagged: Mapping[str, str], remembered: Mapping[str, TaggedSecret]
) -> Mapping[str, TaggedSecret]:
    """The variables that what serves has, and that neither the vault's tags nor ``env`` give any more.

    A secret that now gives another variable was renamed by a person, so it is left out.
    """
    used = {secret.lower() for secret in tagged.values()}
    return {
        variable: item
        for variable, item in sorted(remembered.items())
        if variable not in tagged and variable not in spec.env and item.secret.lower() not in used
    }


def vault_variables(
    spec: AgentSpec,
    tagged: Mapping[str, str],
    lost: Mapping[str, TaggedSecret],
    newest: Mapping[str, str | None],
) -> VaultVariables:
    """The variables from the vault; ``newest`` has the newest version's id of each secret whose tags are gone, if any.

    The same version without its tags: a person removed them, and the variable goes. Another version: it was set without
    tags, and the variable stays. A secret that cannot be read stays too, so that it is the reason of the release's end.
    """
    kept, notes = dict[str, TaggedSecret](), list[Note]()
    for variable, item in lost.items():
        version = newest[item.secret]
        if version == item.version:
            continue
        kept[variable] = item
        if version is not None:
            command = f"az keyvault secret set-attributes --vault-name <vault> --name {item.secret}"
            detail = f"{variable}: {command} --tags agent={spec.agent} env={variable}"
            notes.append(Note(Reason.VARIABLE_TAGS_LOST, detail))
    secrets = {**tagged, **{variable: item.secret for variable, item in kept.items()}}
    return VaultVariables(secrets, kept, tuple(notes))
