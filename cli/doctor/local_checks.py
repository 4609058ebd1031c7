"""Checks that need no service: Python, the SDKs, the settings, ``agents.yaml``."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor.result import Check, failed, ok, unknown
from cli.runner import summary
from core.agents_file.spec import Agents
from core.agents_file.warnings import DOCUMENTED_SIZES, is_blocked
from handlers.agents_file import load_agents_file
from handlers.settings import APP_ROOT, ConfigError, Settings

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
PROTOCOLS = ("2.0.0", "1.0.0")
SDKS = (
    "azure-functions", "azure-ai-projects", "azure-identity", "azure-eventgrid", "azure-keyvault-secrets",
    "azure-containerregistry", "azure-storage-blob", "azure-storage-queue",
)  # fmt: skip


def check_python() -> Check:
    """Check the Python version: the app runs on 3.13 in Azure; 3.11 to 3.14 are tested or locked."""
    running = sys.version_info[:2]
    shown = f"{running[0]}.{running[1]}"
    return (
        ok("Python", shown) if running in PYTHONS else failed("Python", f"{shown} is not supported", "use Python 3.13")
    )


def check_sdks(lock: Path = APP_ROOT / "requirements.txt") -> Check:
    """Check that the installed SDKs are the deployed ones."""
    pinned = dict(re.findall(r"^([a-z-]+)==([0-9.]+)[ \\]", lock.read_text(), re.MULTILINE))
    different = []
    for sdk in SDKS:
        try:
            installed = version(sdk)
        except PackageNotFoundError:
            installed = "not installed"
        if sdk in pinned and installed != pinned[sdk] and sdk != "azure-functions":  # two versions of it are locked
            different.append(f"{sdk} {installed} instead of {pinned[sdk]}")
    if not different:
        return ok("SDK versions", "as locked in requirements.txt")
    return failed("SDK versions", "; ".join(different), "pip install --require-hashes -r requirements-dev.txt")


def check_settings() -> tuple[Settings | None, list[Check]]:
    """Return the settings, or a failed check for each wrong one."""
    try:
        return Settings.from_env(os.environ), [ok("settings", "complete")]
    except ConfigError as error:
        fix = "set them as the app has them: azd env get-values, or the README's table"
        return None, [failed("settings", line, fix) for line in str(error).splitlines()]


def check_sources(settings: Settings) -> list[Check]:
    """Check that events of a registry or a vault of the same name elsewhere are ignored; a stand-in has no id."""
    if settings.registry_endpoint != f"https://{settings.registry_login_server}":
        return []
    ids = {"REGISTRY_ID": settings.registry_id, "KEY_VAULT_ID": settings.key_vault_id}
    missing = " and ".join(name for name, value in ids.items() if not value)
    detail = f"without {missing} only names are compared, not subscriptions"
    return [unknown("sources of events", detail, "azd provision")] if missing else []


def check_agents_file(settings: Settings) -> tuple[Agents | None, list[Check]]:
    """Return the agents, or a failed check for each error in the file."""
    try:
        agents = load_agents_file(settings)
    except ConfigError as error:
        fix = f"slipway validate {'' if settings.agents_file == 'agents.yaml' else settings.agents_file}".rstrip()
        return None, [failed("agents.yaml", line, fix) for line in str(error).splitlines()]
    return agents, check_agents(agents)


def check_agents(agents: Agents) -> list[Check]:
    """Check size and protocols of each agent; a file with a reserved variable name does not load."""
    return [
        ok("agents.yaml", f"{summary(agents)}, no errors"),
        ok("variables", "no name is reserved by Foundry"),
        *(replace(check, agent=name) for name in sorted(agents.agents) for check in _agent(name, agents)),
    ]


def _agent(name: str, agents: Agents) -> list[Check]:
    spec = agents.agents[name]
    size = f"cpu {spec.cpu}, memory {spec.memory}"
    documented = ", ".join(f"{cpu} and {memory}" for cpu, memory in sorted(DOCUMENTED_SIZES))
    results = [
        ok(f"{name}: size", size)
        if (spec.cpu, spec.memory) in DOCUMENTED_SIZES
        else failed(f"{name}: size", f"{size} is not a documented pair", f"use one of {documented} in agents.yaml")
    ]
    for protocol, number in spec.protocols.items():
        check = f"{name}: protocol {protocol}"
        fix = 'write the version that the image\'s library speaks, such as "2.0.0"'
        if is_blocked(protocol, number):
            results.append(failed(check, f"Foundry has blocked version {number} since 2026-07-31", fix))
        elif number in PROTOCOLS:
            results.append(ok(check, number))
        else:
            results.append(unknown(check, f"{number} is not a documented version", fix))
    return results
