"""Evaluates a template with Bicep's own expression engine: ``bicep snapshot``, which needs no Azure."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
MISSING = "no Bicep compiler found: set BICEP, or install bicep; the workflow has one"


def find_compiler() -> str | None:
    """Return ``BICEP``, the compiler beside the checkout, or the one on the PATH, in this order."""
    beside = ROOT.parent / "shared" / "tools" / "bicep"
    return os.environ.get("BICEP") or (str(beside) if os.access(beside, os.X_OK) else shutil.which("bicep"))


class BicepError(Exception):
    """The compiler refused a template or its parameters; the text is its output."""


@dataclass(frozen=True)
class Context:
    """Where a deployment goes."""

    subscription: str
    tenant: str
    location: str


class Bicep:
    """The compiler; it evaluates each template with each set of parameters once."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._evaluated: dict[str, asyncio.Task[Json]] = {}

    async def build(self, file: Path) -> Json:
        """Return the template of a Bicep file, as azd sends it."""
        template: Json = json.loads(await self._run("build", str(file), "--stdout"))
        return template

    async def evaluate(self, template: Json, parameters: Mapping[str, Any], context: Context) -> Json:
        """Return ``predictedResources`` and ``outputs``; what only Azure knows stays an expression."""
        key = hashlib.sha256(json.dumps([template, parameters, str(context)]).encode()).hexdigest()
        if key not in self._evaluated:
            self._evaluated[key] = asyncio.create_task(self._snapshot(template, parameters, context))
        return await self._evaluated[key]

    async def _snapshot(self, template: Json, parameters: Mapping[str, Any], context: Context) -> Json:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "main.json").write_text(json.dumps(template))
            lines = [f"param {key} = {_literal(value)}" for key, value in parameters.items()]
            file = folder / "main.bicepparam"
            file.write_text("\n".join(["using 'main.json'", *lines, ""]))
            place = {"subscription-id": context.subscription, "tenant-id": context.tenant, "location": context.location}
            options = [word for name, value in place.items() for word in (f"--{name}", value)]
            await self._run("snapshot", str(file), *options, "--deployment-name", "dev")
            evaluated: Json = json.loads((folder / "main.snapshot.json").read_text())
        return evaluated

    async def _run(self, *arguments: str) -> str:
        env = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", **os.environ}  # the compiler then needs no ICU library
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(self._program, *arguments, stdout=pipe, stderr=pipe, env=env)
        output, errors = await process.communicate()
        if process.returncode:
            raise BicepError((errors or output).decode())
        return output.decode()


def _literal(value: str | int | bool) -> str:
    return json.dumps(value) if not isinstance(value, str) else "'" + value.replace("'", "\\'") + "'"
