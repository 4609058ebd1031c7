"""What can be seen without asking anybody: Python, the SDKs, the settings, the rules."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor.checks import Check, ok, unclear, wrong
from core.agents_file.spec import Agents
from handlers.settings import APP_ROOT, ConfigError, Settings, load_agents_file

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
SIZES = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
"""Documented sizes of a sandbox; another is refused with 400 (docs/reference/wire.md)."""
PROTOCOLS = ("2.0.0", "1.0.0")
SDKS = (
    "azure-functions", "azure-ai-projects", "azure-identity", "azure-eventgrid", "azure-keyvault-secrets",
    "azure-containerregistry", "azure-storage-blob", "azure-storage-queue",
)  # fmt: skip


def python() -> Check:
    """The app runs on 3.13 in Azure; 3.11 to 3.14 are tested or locked."""
    here = sys.version_info[:2]
    told = f"{here[0]}.{here[1]}"
    return ok("Python", told) if here in PYTHONS else wrong("Python", f"{told} is not supported", "use Python 3.13")


def sdks(lock: Path = APP_ROOT / "requirements.txt") -> Check:
    """What is installed here is what is deployed."""
    pinned = dict(re.findall(r"^([a-z-]+)==([0-9.]+)[ \\]", lock.read_text(), re.MULTILINE))
    other = []
    for name in SDKS:
        try:
            there = version(name)
        except PackageNotFoundError:
            there = "not installed"
        if name in pinned and there != pinned[name] and name != "azure-functions":  # of that two versions are locked
            other.append(f"{name} {there} instead of {pinned[name]}")
    if not other:
        return ok("SDK versions", "as locked in requirements.txt")
    return wrong("SDK versions", "; ".join(other), "pip install --require-hashes -r requirements-dev.txt")


def settings() -> tuple[Settings | None, list[Check]]:
    """The settings, or what is wrong with each."""
    try:
        return Settings.from_env(os.environ), [ok("settings", "complete")]
    except ConfigError as error:
        mend = "set them as the app has them: azd env get-values, or the README's table"
        return None, [wrong("settings", line, mend) for line in str(error).splitlines()]


def rules(given: Settings) -> tuple[Agents | None, list[Check]]:
    """The rules, or what is wrong with the file."""
    try:
        found = load_agents_file(given)
    except ConfigError as error:
        return None, [wrong("agents.yaml", line, "slipway validate") for line in str(error).splitlines()]
    return found, of_rules(found)


def of_rules(found: Agents) -> list[Check]:
    """What is known of each rule; a file with a reserved name would not have been read."""
    return [
        ok("agents.yaml", f"{len(found.agents)} agents, no mistake"),
        ok("variables", "none has a name that Foundry reserves"),
        *(check for name in sorted(found.agents) for check in _rule(name, found)),
    ]


def _rule(name: str, agents: Agents) -> list[Check]:
    rule = agents.agents[name]
    size = f"cpu {rule.cpu}, memory {rule.memory}"
    known = ", ".join(f"{cpu} and {memory}" for cpu, memory in sorted(SIZES))
    told = [
        ok(f"{name}: size", size)
        if (rule.cpu, rule.memory) in SIZES
        else wrong(f"{name}: size", f"{size} is no documented pair", f"use one of {known} in agents.yaml")
    ]
    for protocol, number in rule.protocols.items():
        what = f"{name}: protocol {protocol}"
        fits = number in PROTOCOLS
        mend = 'write the version that the image\'s library speaks, such as "2.0.0"'
        told.append(ok(what, number) if fits else unclear(what, f"{number} is not a version that is documented", mend))
    return told
