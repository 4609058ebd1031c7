"""The probes of agents.yaml: one or several, over either protocol, and the errors in them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.spec import Probe, ReleaseSpec

FILE = """
agents:
  hello-agent:
    repository: agents/hello
    release:
      verify: %s
"""


def verify(text: str) -> tuple[Probe, ...]:
    spec: ReleaseSpec = load_agents((FILE % text).encode()).agents["hello-agent"].release
    return spec.verify


def test_a_single_question_equals_a_list_with_it() -> None:
    asked = Probe(ask="ping", expect="pong", within=timedelta(seconds=30))
    assert verify("{ask: ping, expect: pong, within: 30s}") == (asked,)
    assert verify("[{ask: ping, expect: pong, within: 30s}]") == (asked,)


def test_both_protocols_may_be_asked() -> None:
    assert verify("[{ask: ping, expect: pong}, {post: {q: [1]}, status: 202}, {post: ping, expect: p}]") == (
        Probe(ask="ping", expect="pong"),
        Probe(post={"q": [1]}, status=202),
        Probe(post="ping", expect="p"),
    )


INVALID = [
    pytest.param("{expect: pong}", "write ask", id="no question"),
    pytest.param("{ask: ping, post: {}, expect: pong}", "write either ask", id="two questions"),
    pytest.param("{ask: ping}", "needs `expect: …`", id="nothing expected"),
    pytest.param("{ask: ping, expect: pong, status: 200}", "status belongs to post", id="a status without post"),
    pytest.param("{post: {}, status: 99}", "write 100 or more", id="a status below 100"),
    pytest.param("{ask: ping, expect: '('}", "is not an RE2 expression", id="an invalid expression"),
    pytest.param("{ask: ping, expect: pong, withing: 3s}", "did you mean within", id="an unknown key"),
    pytest.param("ping", "expected a map", id="a text"),
]


@pytest.mark.parametrize(("text", "message"), INVALID)
def test_the_error_of_an_invalid_question_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(AgentsFileError) as raised:
        verify(text)
    assert "line 6: " in str(raised.value)
    assert message in str(raised.value)


def test_a_protocol_that_slipway_does_not_know_is_accepted() -> None:
    text = "agents: {hello: {repository: my.team/hello, protocols: {quantum_chat: 3.0.0}}}"
    spec = load_agents(text.encode()).agents["hello"]
    assert (dict(spec.protocols), spec.repository) == ({"quantum_chat": "3.0.0"}, "my.team/hello")
