"""Questions of agents.yaml: one or several, over either protocol, and what is wrong with them."""

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
    rule: ReleaseSpec = load_agents((FILE % text).encode()).agents["hello-agent"].release
    return rule.verify


def test_one_question_is_a_list_of_one() -> None:
    asked = Probe(ask="ping", expect="pong", within=timedelta(seconds=30))
    assert verify("{ask: ping, expect: pong, within: 30s}") == (asked,)
    assert verify("[{ask: ping, expect: pong, within: 30s}]") == (asked,)


def test_both_protocols_may_be_asked() -> None:
    assert verify("[{ask: ping, expect: pong}, {post: {q: [1]}, status: 202}, {post: ping, expect: p}]") == (
        Probe(ask="ping", expect="pong"),
        Probe(post={"q": [1]}, status=202),
        Probe(post="ping", expect="p"),
    )


WRONG = [
    pytest.param("{expect: pong}", "write ask", id="no question"),
    pytest.param("{ask: ping, post: {}, expect: pong}", "write either ask", id="two questions"),
    pytest.param("{ask: ping}", "needs `expect: …`", id="nothing expected"),
    pytest.param("{ask: ping, expect: pong, status: 200}", "status belongs to post", id="a status of a response"),
    pytest.param("{post: {}, status: 99}", "write 100 or more", id="no status"),
    pytest.param("{ask: ping, expect: '('}", "is not an RE2 expression", id="not an expression"),
    pytest.param("{ask: ping, expect: pong, withing: 3s}", "did you mean within", id="an unknown key"),
    pytest.param("ping", "expected a map", id="a text"),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_a_wrong_question_says_what_to_write(text: str, told: str) -> None:
    with pytest.raises(AgentsFileError) as refused:
        verify(text)
    assert "line 6: " in str(refused.value)
    assert told in str(refused.value)


def test_a_protocol_that_foundry_has_learned_since_is_as_good() -> None:
    text = "agents: {hello: {repository: my.team/hello, protocols: {quantum_chat: 3.0.0}}}"
    rule = load_agents(text.encode()).agents["hello"]
    assert (dict(rule.protocols), rule.repository) == ({"quantum_chat": "3.0.0"}, "my.team/hello")
