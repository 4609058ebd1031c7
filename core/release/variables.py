"""Names the variables of the live version that a release drops."""

from __future__ import annotations

from core.agents_file.spec import AgentSpec
from core.definition import TOOLBOX_ENDPOINT, TOOLBOX_NAME, Note, ResolvedDefinition, own_variables
from core.reasons import Reason
from core.release.inputs import DecisionInput


def removed_variables(inputs: DecisionInput, spec: AgentSpec, definition: ResolvedDefinition) -> tuple[Note, ...]:
    """One note with every variable that neither agents.yaml nor the tags of secrets give any more.

    A rollback to a version that exists drops nothing that the person did not ask for.
    """
    if definition.tagged is None:
        return ()
    good = inputs.release.last_good
    tagged = good.tagged if good else {}
    before = own_variables(_live_variables(inputs)) | tagged.keys()
    gone = before - definition.definition.environment.keys() - {TOOLBOX_ENDPOINT, TOOLBOX_NAME}
    if not gone:
        return ()
    details = (f"{name}: {_why(tagged[name].secret if name in tagged else '', spec)}" for name in sorted(gone))
    return (Note(Reason.VARIABLE_REMOVED, "; ".join(details)),)


def _live_variables(inputs: DecisionInput) -> frozenset[str]:
    number = inputs.agent.live if inputs.agent else None
    read = inputs.version(number) if number else None
    versions = (read,) if read else (item for item in inputs.version_list if item.number == number)
    return next((version.variables for version in versions), frozenset())


def _why(secret: str, spec: AgentSpec) -> str:
    if not secret:
        return "agents.yaml does not set it any more"
    if not spec.env_from_vault:
        return "env_from_vault is not set any more"
    return f"the tags of secret {secret} do not give it any more"
