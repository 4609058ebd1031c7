"""``python -m tests.security.audit``: run pip-audit on requirements.txt, and say so if no service answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
SAFE, VULNERABLE, UNKNOWN = 0, 1, 3


def summarize(report: Mapping[str, Any]) -> tuple[int, str]:
    """Exit code and text for pip-audit's JSON; pip-audit itself exits with 0 when it could not look up any package."""
    packages = report.get("dependencies", [])
    audited = [package for package in packages if "vulns" in package]
    vulnerable = [package for package in audited if package["vulns"]]
    skipped = [str(package["name"]) for package in packages if "vulns" not in package]
    if vulnerable:
        return VULNERABLE, "\n".join(_line(package) for package in vulnerable)
    if not audited:
        return UNKNOWN, f"not audited: no vulnerability service knows any of the {len(skipped)} packages from here"
    missing = f"; not known to the service: {', '.join(skipped)}" if skipped else ""
    return SAFE, f"{len(audited)} packages audited, no known vulnerability{missing}"


def _line(package: Mapping[str, Any]) -> str:
    vulnerabilities = ", ".join(
        f"{vulnerability['id']} (fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'})"
        for vulnerability in package["vulns"]
    )
    return f"{package['name']} {package['version']}: {vulnerabilities}"


def main() -> int:
    """Exit with 1 if a pinned package is vulnerable, and with 3 if ``--required`` is set and no service answered."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    try:
        code, text = summarize(json.loads(done.stdout))
    except ValueError:
        problem = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        code, text = UNKNOWN, f"not audited: pip-audit gave no answer: {problem[:300]}"
    sys.stdout.write(f"{text}\n")
    return SAFE if code == UNKNOWN and "--required" not in sys.argv[1:] else code


if __name__ == "__main__":
    sys.exit(main())
