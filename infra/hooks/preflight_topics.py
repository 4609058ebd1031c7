"""Preflight: the system topic of the registry or the vault must be usable. A source can have only one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli.arm_client import Json
from infra.hooks.deploy_request import DeployRequest, Source
from infra.hooks.findings import Finding, error, ok
from infra.hooks.own_resources import is_own_topic, topics_of


def system_topic(listed: Sequence[Json], source: Source, request: DeployRequest) -> Iterator[Finding]:
    """The named topic must exist and have an identity; without a name, only this deployment's own may exist."""
    subject = source.kind.lower()
    existing = topics_of(source, listed)
    foreign = [topic for topic in existing if not is_own_topic(topic, source, request)]
    if source.topic:
        yield _named_topic(existing, source, subject)
    elif foreign:
        name, group = foreign[0]["name"], foreign[0]["id"].split("/")[4]
        message = f"{source.name} already has the system topic {name} in {group}, and can have only one"
        yield error(subject, message, _set_topic(source, name))
    else:
        yield ok(subject, "its system topic exists" if existing else "its system topic will be created")


def _named_topic(existing: Sequence[Json], source: Source, subject: str) -> Finding:
    topic = next((topic for topic in existing if topic["name"].lower() == source.topic.lower()), None)
    if topic is None:
        names = ", ".join(topic["name"] for topic in existing) or "none"
        variable = f"{source.kind}_TOPIC_NAME" if source.is_first else "the topic in MORE_VAULT_IDS"
        message = f"{variable} is {source.topic}, but the topics of {source.name} are: {names}"
        name = str(existing[0]["name"]) if existing else ""
        return error(subject, message, _set_topic(source, f"'{name}'" if source.is_first else name))
    if "SystemAssigned" not in str((topic.get("identity") or {}).get("type", "")):
        message = f"the system topic {source.topic} has no system-assigned identity to deliver with"
        group = topic["id"].split("/")[4]
        help_ = f"az eventgrid system-topic update -n {source.topic} -g {group} --identity systemassigned"
        return error(subject, message, f"{help_} --subscription {source.subscription}")
    return ok(subject, f"events come from its system topic {source.topic}")


def _set_topic(source: Source, topic: str) -> str:
    if source.is_first:
        return f"azd env set {source.kind}_TOPIC_NAME {topic}"
    return f"write in MORE_VAULT_IDS: {source.id}:{topic}".removesuffix(":")
