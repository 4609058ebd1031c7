"""How clients reach the network: through a proxy where the environment of the process names one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.endpoints import ROOT

SCRIPT = "from handlers.gateways.azure_http import connection_options; print(connection_options()['use_env_settings'])"


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        pytest.param({}, "False", id="no proxy: the environment is left alone"),
        pytest.param({"HTTPS_PROXY": "http://proxy.example:8080"}, "True", id="a proxy is used"),
    ],
)
def test_connections_ask_the_environment_where_it_names_a_proxy(more: dict[str, str], asked: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=bare | more, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == asked
