"""``azd auth token``, which is all that a hook asks of azd: a program that hands out tokens of the stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = """#!{python} -IS
import json, os, sys, time
if os.environ.get("LOCAL_AZD_SIGNED_OUT"):
    sys.exit(json.dumps({{"error": "not logged in, run `azd auth login` to login"}}))
seconds = int(os.environ.get("LOCAL_AZD_TOKEN_SECONDS", "3600"))
at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.localtime(time.time() + seconds))
print(json.dumps({{"token": f"local-{{os.getpid()}}", "expiresOn": at}}))
"""


def install(folder: Path) -> Path:
    """Write the program ``azd`` into a folder for the PATH; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "azd"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    return folder
