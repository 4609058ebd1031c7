"""``python -m tests.security.audit``: pip-audit over the lock; where no service answers, nothing is pretended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
SOUND, UNSAFE, UNKNOWN = 0, 1, 3


def verdict(told: Mapping[str, Any]) -> tuple[int, str]:
    """What pip-audit's document comes to: it calls a run in which nothing could be looked up a success."""
    packages = told.get("dependencies", [])
    known = [one for one in packages if "vulns" in one]
    unsafe = [one for one in known if one["vulns"]]
    skipped = [str(one["name"]) for one in packages if "vulns" not in one]
    if unsafe:
        return UNSAFE, "\n".join(_line(one) for one in unsafe)
    if not known:
        return UNKNOWN, f"not audited: no vulnerability service knows any of the {len(skipped)} packages from here"
    missing = f"; not known to the service: {', '.join(skipped)}" if skipped else ""
    return SOUND, f"{len(known)} packages audited, no known vulnerability{missing}"


def _line(package: Mapping[str, Any]) -> str:
    found = ", ".join(
        f"{one['id']} (mended in {', '.join(one['fix_versions']) or 'no version yet'})" for one in package["vulns"]
    )
    return f"{package['name']} {package['version']}: {found}"


def main() -> int:
    """1: something unsafe is pinned; 3, with ``--required``: it could not be found out."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    try:
        code, text = verdict(json.loads(done.stdout))
    except ValueError:
        why = (done.stderr.strip().splitlines() or ["no words"])[-1]
        code, text = UNKNOWN, f"not audited: pip-audit gave no answer: {why[:300]}"
    sys.stdout.write(f"{text}\n")
    return SOUND if code == UNKNOWN and "--required" not in sys.argv[1:] else code


if __name__ == "__main__":
    sys.exit(main())
