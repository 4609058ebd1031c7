"""Parsing of events: every form of a push, and every event that Slipway ignores."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.eventgrid import SystemEventNames
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION, Ignored, ImagePushed, ParsedEvent, SecretChanged, parse_events
from core.model import Push
from core.reasons import Reason
from tests.support.builders import DIGEST, REGISTRY, VAULT, cloud_event, push_data, push_event, secret_event

RECEIVED = datetime(2026, 11, 24, 13, tzinfo=UTC)
PUSHED_AT = datetime(2026, 11, 24, 12, 0, 0, 123456, UTC)
TIMESTAMP = datetime(2026, 11, 24, 11, 59, 59, 987654, UTC)
PUSH = Push("agents/hello", DIGEST, "v1", PUSHED_AT, "event-1")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def parse_one(event: Any) -> ParsedEvent:
    (parsed,) = parse_events(json.dumps(event), "demo", RECEIVED)
    return parsed


def test_the_type_names_are_those_of_the_sdk() -> None:
    assert SystemEventNames.ContainerRegistryImagePushedEventName.value == IMAGE_PUSHED
    assert SystemEventNames.KeyVaultSecretNewVersionCreatedEventName.value == SECRET_NEW_VERSION


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(push_event(), id="Event Grid schema"),
        pytest.param(cloud_event(), id="CloudEvents 1.0"),
        pytest.param([push_event()], id="an array"),
        pytest.param(push_event(data=json.dumps(push_data())), id="data as text"),
        pytest.param(cloud_event(data=json.dumps(push_data())), id="CloudEvents, data as text"),
        pytest.param(push_event(eventType="ImagePushed"), id="the short type"),
        pytest.param(push_event(topic=REGISTRY.upper()), id="the topic in another case"),
        pytest.param(push_event(surprise={"new": True}), id="an unknown field"),
        pytest.param(push_event(data=push_data() | {"request": None, "location": "x"}), id="no request"),
        pytest.param(push_event(eventTime="2026-11-24T12:00:00.123456789Z"), id="9 fractional digits"),
        pytest.param(push_event(eventTime="2026-11-24T14:00:00.123456+02:00"), id="another offset"),
    ],
)
def test_every_form_of_a_push_gives_the_same_push(event: Any) -> None:
    assert parse_one(event) == ImagePushed(PUSH)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param("019-03-12T00:26:36Z", TIMESTAMP, id="as in Microsoft's own sample"),
        pytest.param("2026-13-45T99:99:99Z", TIMESTAMP, id="no such day"),
        pytest.param(None, TIMESTAMP, id="null"),
        pytest.param(1732449600, TIMESTAMP, id="a number"),
        pytest.param("2026-11-24T12:00:00", PUSHED_AT.replace(microsecond=0), id="no zone is UTC"),
        pytest.param("0001-01-01T00:00:00+14:00", TIMESTAMP, id="before the first day"),
        pytest.param("0001-01-01T00:00:00Z", TIMESTAMP, id="the first day"),
        pytest.param("1999-12-31T23:59:59Z", TIMESTAMP, id="before all services"),
        pytest.param("-2026-11-24T12:00:00Z", TIMESTAMP, id="a negative year"),
        pytest.param("2026-11-24T13:05:01Z", RECEIVED, id="more than five minutes ahead"),
        pytest.param("2099-01-01T00:00:00Z", RECEIVED, id="in 2099"),
        pytest.param("9999-12-31T23:59:59Z", RECEIVED, id="on the last day"),
        pytest.param("9999-12-31T23:59:59-14:00", TIMESTAMP, id="after the last day"),
        pytest.param("2026-11-24T13:05:00Z", RECEIVED + timedelta(minutes=5), id="a clock a little ahead"),
    ],
)
def test_an_unreadable_time_falls_back_to_the_timestamp(time: Any, expected: datetime) -> None:
    parsed = parse_one(push_event(eventTime=time))
    assert isinstance(parsed, ImagePushed)
    assert parsed.push.pushed_at == expected


def test_a_push_without_any_time_was_pushed_when_it_was_received() -> None:
    parsed = parse_one(push_event(eventTime="", data=push_data() | {"timestamp": "soon"}))
    assert isinstance(parsed, ImagePushed)
    assert parsed.push.pushed_at == RECEIVED


def test_a_valid_traceparent_is_kept_and_an_invalid_one_is_not() -> None:
    assert parse_one(cloud_event(traceparent=TRACE)) == ImagePushed(PUSH, TRACE)
    assert parse_one(cloud_event(traceparent="00-nope")) == ImagePushed(PUSH)


@pytest.mark.parametrize("event", [push_event, cloud_event])
def test_a_push_may_be_a_dry_run(event: Any) -> None:
    data = push_data() | {"dry_run": True}
    assert parse_one(event(data=data)) == ImagePushed(PUSH, dry_run=True)
    assert parse_one(event(data=json.dumps(data))) == ImagePushed(PUSH, dry_run=True)
    invalid: tuple[Any, ...] = ("true", 1, None, {})
    for value in invalid:
        assert parse_one(event(data=push_data() | {"dry_run": value})) == ImagePushed(PUSH)


def test_a_rotation_may_be_a_dry_run() -> None:
    plain = parse_one(secret_event())
    assert isinstance(plain, SecretChanged)
    assert parse_one(secret_event(data=secret_event()["data"] | {"dry_run": True})) == replace(plain, dry_run=True)


IGNORED = [
    pytest.param(push_event(data=push_data(tag=None)), Reason.UNTAGGED_PUSH, id="no tag"),
    pytest.param(push_event(data=push_data(tag="")), Reason.UNTAGGED_PUSH, id="an empty tag"),
    pytest.param(push_event(data=push_data(digest=None)), Reason.NO_DIGEST, id="no digest"),
    pytest.param(push_event(data=push_data(digest="sha256:short")), Reason.MALFORMED_EVENT, id="half a digest"),
    pytest.param(push_event(data=push_data(tag=f"sha256-{'0' * 64}")), Reason.ARTIFACT_TAG, id="a referrers tag"),
    pytest.param(push_event(data=push_data(tag=f"sha256-{'0' * 64}.sig")), Reason.ARTIFACT_TAG, id="a signature"),
    pytest.param(push_event(data=push_data(tag="v1.sbom")), Reason.ARTIFACT_TAG, id="an SBOM"),
    pytest.param(push_event(data=push_data(tag="v 1")), Reason.MALFORMED_EVENT, id="a tag with a space"),
    pytest.param(push_event(data=push_data(tag="-v1")), Reason.MALFORMED_EVENT, id="a tag that begins with a hyphen"),
    pytest.param(push_event(data=push_data(tag="v1\n")), Reason.MALFORMED_EVENT, id="a tag with a line end"),
    pytest.param(push_event(data=push_data(tag="v" * 129)), Reason.MALFORMED_EVENT, id="a tag of 129 characters"),
    pytest.param(push_event(data=push_data(tag="ünstable")), Reason.MALFORMED_EVENT, id="a tag with an umlaut"),
    pytest.param(push_event(data=push_data(repository="Agents/x")), Reason.MALFORMED_EVENT, id="upper case"),
    pytest.param(push_event(data=push_data(repository="a/../b")), Reason.MALFORMED_EVENT, id="dots for a part"),
    pytest.param(push_event(data=push_data(repository="a" * 256)), Reason.MALFORMED_EVENT, id="256 characters"),
    pytest.param(push_event(topic="demo"), Reason.OTHER_REGISTRY, id="the name alone"),
    pytest.param(
        push_event(topic=REGISTRY.replace("ContainerRegistry/registries", "Storage/storageAccounts")),
        Reason.OTHER_REGISTRY,
        id="a storage account of the same name",
    ),
    pytest.param(push_event(topic=f"{REGISTRY}/webhooks/demo"), Reason.OTHER_REGISTRY, id="a webhook of this name"),
    pytest.param(push_event(topic=REGISTRY + "2"), Reason.OTHER_REGISTRY, id="another registry"),
    pytest.param(push_event(topic=""), Reason.OTHER_REGISTRY, id="no registry"),
    pytest.param(
        push_event(topic=f"{REGISTRY}/connectedRegistries/demo"), Reason.CONNECTED_REGISTRY, id="a connected registry"
    ),
    pytest.param(
        push_event(data=push_data() | {"connectedregistry": {"name": "edge"}}),
        Reason.CONNECTED_REGISTRY,
        id="a connected registry by its data",
    ),
    pytest.param(
        push_event(eventType="Microsoft.ContainerRegistry.ImageDeleted"), Reason.OTHER_EVENT_TYPE, id="a delete"
    ),
    pytest.param(
        push_event(eventType="Microsoft.ContainerRegistry.ChartPushed"), Reason.OTHER_EVENT_TYPE, id="an old chart"
    ),
    pytest.param(secret_event(eventType="Microsoft.KeyVault.SecretExpired"), Reason.OTHER_EVENT_TYPE, id="an expiry"),
    pytest.param(push_event(eventType=None), Reason.MALFORMED_EVENT, id="no type"),
    pytest.param(push_event(data=None), Reason.MALFORMED_EVENT, id="no data"),
    pytest.param(push_event(data="{half"), Reason.MALFORMED_EVENT, id="half of the data"),
    pytest.param(push_event(data={"target": []}), Reason.MALFORMED_EVENT, id="a list for a target"),
    pytest.param(push_event(data=push_data(repository=7)), Reason.MALFORMED_EVENT, id="a number for a repository"),
    pytest.param(secret_event(data={"Id": "https://x/keys/k/1"}), Reason.MALFORMED_EVENT, id="a key, not a secret"),
    pytest.param(7, Reason.MALFORMED_EVENT, id="a number"),
    pytest.param(None, Reason.MALFORMED_EVENT, id="null"),
]


@pytest.mark.parametrize(("event", "reason"), IGNORED)
def test_an_ignored_event_has_a_reason(event: Any, reason: Reason) -> None:
    parsed = parse_one(event)
    assert isinstance(parsed, Ignored)
    assert parsed.reason is reason


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ({"tag": "v 1"}, "data.target.tag is not a tag"),
        ({"repository": "A"}, "data.target.repository is not a repository's name"),
        ({"digest": "sha256:short"}, "data.target.digest is not a sha256 digest"),
        ({"repository": None}, "data.target.repository is missing"),
        ({"repository": ["agents/hello"]}, "data.target.repository is not a text"),
        ({"tag": 1.0}, "data.target.tag is not a text"),
        ({"digest": {}}, "data.target.digest is not a text"),
    ],
)
def test_the_detail_says_which_part_is_malformed(target: dict[str, Any], detail: str) -> None:
    parsed = parse_one(push_event(data=push_data(**target)))
    assert isinstance(parsed, Ignored)
    assert (parsed.reason, parsed.detail) == (Reason.MALFORMED_EVENT, detail)


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (push_event(data=None), "data is not an object with a target"),
        (push_event(data="{half"), "data is not an object with a target"),
        (push_event(data=[push_data()]), "data is not an object with a target"),
        (push_event(data={"action": "push"}), "data.target is not an object"),
        (push_event(data={"target": []}), "data.target is not an object"),
        (push_event(topic=" "), "the event has no topic or source"),
    ],
)
def test_the_detail_says_what_an_event_lacks(event: Any, detail: str) -> None:
    parsed = parse_one(event)
    assert isinstance(parsed, Ignored)
    assert parsed.detail == detail


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{half", id="half"),
        pytest.param("[" * 100_000, id="too many brackets"),
        pytest.param("\x00", id="a NUL"),
    ],
)
def test_text_that_is_not_json_is_malformed(text: str) -> None:
    (parsed,) = parse_events(text, "demo", RECEIVED)
    assert isinstance(parsed, Ignored)
    assert parsed.reason is Reason.MALFORMED_EVENT


def test_an_empty_array_has_no_event() -> None:
    assert parse_events("[]", "demo", RECEIVED) == ()


def test_a_malformed_event_does_not_affect_the_others() -> None:
    parsed = parse_events(json.dumps([7, push_event(), None]), "demo", RECEIVED)
    assert [type(element) for element in parsed] == [Ignored, ImagePushed, Ignored]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep nesting"),
        pytest.param('{"a":' * 50_000 + "1" + "}" * 50_000, id="deep maps"),
        pytest.param("9" * 5_000, id="a number of 5,000 digits"),
        pytest.param('{"type": oops}', id="no JSON"),
        pytest.param('"a, ] and \\" in a text"', id="a text"),
        pytest.param("", id="nothing"),
    ],
)
def test_an_unreadable_event_does_not_affect_its_neighbours(odd: str) -> None:
    push = json.dumps(push_event())
    parsed = parse_events(f"[{push}, {odd}, {push}]", "demo", RECEIVED)
    assert [type(element) for element in parsed] == [ImagePushed, Ignored, ImagePushed]
    parsed = parse_events(f"[{push}, {odd}", "demo", RECEIVED)
    assert [type(element) for element in parsed] == [ImagePushed, Ignored]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_an_event_of_a_windows_tool_is_read(encoding: str) -> None:
    """As the Functions host passes it on: decoded as UTF-8."""
    text = json.dumps(push_event()).encode(encoding).decode("utf-8", "replace")
    assert parse_events(text, "demo", RECEIVED) == (ImagePushed(PUSH),)
    assert parse_one(push_event(data="\ufeff" + json.dumps(push_data()))) == ImagePushed(PUSH)


@pytest.mark.parametrize(
    ("host", "vault", "ours"),
    [
        pytest.param("Demo-Vault.vault.azure.net", "demo-vault.vault.azure.net", True, id="ours"),
        pytest.param("demo-vault.vault.azure.net:443", "Demo-Vault.vault.azure.net", True, id="with the port"),
        pytest.param("demo-vault.vault.azure.cn", "demo-vault.vault.azure.cn", True, id="ours in another cloud"),
        pytest.param("other.vault.azure.net", "", True, id="no vault is known"),
        pytest.param("other.vault.azure.net", "demo-vault.vault.azure.net", False, id="another name"),
        pytest.param("demo-vault.vault.azure.cn", "demo-vault.vault.azure.net", False, id="another cloud"),
        pytest.param("demo-vault.evil.example", "demo-vault.vault.azure.net", False, id="another domain"),
        pytest.param("demo-vault.vault.azure.net.evil", "demo-vault.vault.azure.net", False, id="a longer host"),
    ],
)
def test_a_rotation_of_another_vault_is_ignored(host: str, vault: str, ours: bool) -> None:
    event = secret_event(data={"Id": f"https://{host}/secrets/hello-key/{'0' * 32}"})
    (parsed,) = parse_events(json.dumps(event), "demo", RECEIVED, vault)
    assert isinstance(parsed, SecretChanged) == ours
    if isinstance(parsed, Ignored):
        assert (parsed.reason, parsed.detail) == (Reason.OTHER_VAULT, host)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://EU-vault.vault.azure.net", "https://eu-vault.vault.azure.net"),
        ("http://eu-vault.vault.azure.net:443", "https://eu-vault.vault.azure.net"),
        ("https://127.0.0.1:8443/vaults/eu", "https://127.0.0.1:8443/vaults/eu"),
        ("https://demo-vault.vault.azure.net", ""),
    ],
)
def test_a_rotation_in_the_vault_of_a_project_counts(address: str, expected: str) -> None:
    vaults = "https://eu-vault.vault.azure.net", "https://127.0.0.1:8443/vaults/eu"
    event = secret_event(topic=VAULT, data={"Id": f"{address}/secrets/hello-key/{'0' * 32}"})
    ours = "demo-vault.vault.azure.net"
    (parsed,) = parse_events(json.dumps(event), "demo", RECEIVED, ours, vault_id=VAULT, project_vaults=vaults)
    assert isinstance(parsed, SecretChanged)
    assert (parsed.name, parsed.address) == ("hello-key", expected)


def test_a_rotation_below_another_address_of_a_stand_in_is_ignored() -> None:
    event = secret_event(data={"Id": f"https://127.0.0.1:8443/vaults/us/secrets/hello-key/{'0' * 32}"})
    vaults = ("https://127.0.0.1:8443/vaults/eu",)
    (parsed,) = parse_events(json.dumps(event), "demo", RECEIVED, "demo-vault.vault.azure.net", project_vaults=vaults)
    assert isinstance(parsed, Ignored)
    assert (parsed.reason, parsed.detail) == (Reason.OTHER_VAULT, "127.0.0.1:8443/vaults/us")


ELSEWHERE = [
    pytest.param("/subscriptions/other/", "/subscriptions/local/", id="another subscription"),
    pytest.param("/resourceGroups/other/", "/resourceGroups/local/", id="another group"),
]


@pytest.mark.parametrize("event", [push_event, cloud_event])
@pytest.mark.parametrize(("other", "ours"), ELSEWHERE)
def test_a_push_to_a_registry_of_the_same_name_elsewhere_is_ignored(event: Any, other: str, ours: str) -> None:
    topic = REGISTRY.replace(ours, other)
    key = "topic" if event is push_event else "source"
    for odd in (topic, topic.upper(), f"{topic}/"):
        text = json.dumps(event(**{key: odd}))
        (parsed,) = parse_events(text, "demo", RECEIVED, registry_id=REGISTRY)
        assert isinstance(parsed, Ignored)
        assert (parsed.reason, parsed.detail) == (Reason.OTHER_REGISTRY, odd)
        assert parse_events(text, "demo", RECEIVED) == (ImagePushed(PUSH),)


@pytest.mark.parametrize("registry_id", [REGISTRY, REGISTRY.upper(), f"{REGISTRY}/", REGISTRY.lower()])
@pytest.mark.parametrize("topic", [REGISTRY, REGISTRY.upper(), f"{REGISTRY}/", REGISTRY.removeprefix("/")])
def test_a_push_to_the_registry_with_this_id_counts(topic: str, registry_id: str) -> None:
    for event in (push_event(topic=topic), cloud_event(source=topic)):
        assert parse_events(json.dumps(event), "demo", RECEIVED, registry_id=registry_id) == (ImagePushed(PUSH),)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (f"{REGISTRY}/replications/westeurope", Reason.OTHER_REGISTRY),
        (f"{REGISTRY}/connectedRegistries/demo", Reason.CONNECTED_REGISTRY),
        (f"https://evil.example{REGISTRY}", Reason.OTHER_REGISTRY),
        (f"{REGISTRY}?{REGISTRY}", Reason.OTHER_REGISTRY),
        (f"{REGISTRY}\x00", Reason.OTHER_REGISTRY),
        ("/", Reason.OTHER_REGISTRY),
        (None, Reason.OTHER_REGISTRY),
        ([REGISTRY], Reason.OTHER_REGISTRY),
    ],
)
def test_a_push_with_an_odd_topic_is_ignored(topic: Any, reason: Reason) -> None:
    (parsed,) = parse_events(json.dumps(push_event(topic=topic)), "demo", RECEIVED, registry_id=REGISTRY)
    assert isinstance(parsed, Ignored)
    assert parsed.reason is reason


@pytest.mark.parametrize(("other", "ours"), ELSEWHERE)
def test_a_rotation_with_the_topic_of_a_vault_elsewhere_is_ignored(other: str, ours: str) -> None:
    topic = VAULT.replace(ours, other)
    as_cloud_event = {"topic": None, "eventType": None, "type": SECRET_NEW_VERSION}
    for event in (secret_event(topic=topic), secret_event(source=topic, **as_cloud_event)):
        (parsed,) = parse_events(json.dumps(event), "demo", RECEIVED, vault_id=VAULT)
        assert isinstance(parsed, Ignored)
        assert (parsed.reason, parsed.detail) == (Reason.OTHER_VAULT, topic)
        (parsed,) = parse_events(json.dumps(event), "demo", RECEIVED)
        assert isinstance(parsed, SecretChanged)


@pytest.mark.parametrize("topic", [VAULT, VAULT.upper(), f"{VAULT}/", None, "", 7])
def test_a_rotation_with_the_topic_of_our_vault_or_none_counts(topic: Any) -> None:
    (parsed,) = parse_events(json.dumps(secret_event(topic=topic)), "demo", RECEIVED, vault_id=VAULT)
    assert isinstance(parsed, SecretChanged)


def test_a_rotation_is_read_from_the_identifier() -> None:
    version = "4387e9f3d6e14c459867679a90fd0f79"
    changed = SecretChanged("demo-vault", "hello-key", version, "event-2")
    assert parse_one(secret_event()) == changed
    assert (
        parse_one(secret_event(data={"id": f"https://demo-vault.vault.azure.net/secrets/hello-key/{version}"}))
        == changed
    )


def test_an_ignored_event_keeps_little_of_its_content() -> None:
    parsed = parse_one(push_event(id="x" * 500 + "\n", data={"target": {"tag": "a secret"}}))
    assert isinstance(parsed, Ignored)
    assert len(parsed.event_id) <= 60
    assert "a secret" not in repr(parsed)


KEYS = st.sampled_from([*push_event(), *push_data(), "target", "tag"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_no_json_value_raises(value: Any) -> None:
    assert all(isinstance(parsed, ParsedEvent) for parsed in parse_events(json.dumps(value), "demo", RECEIVED))


@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, max_size=4), st.lists(JSON, max_size=4))
def test_no_json_value_takes_its_neighbour_with_it(before: list[Any], after: list[Any]) -> None:
    parsed = parse_events(json.dumps([*before, push_event(), *after]), "demo", RECEIVED)
    assert len(parsed) == len(before) + 1 + len(after)
    assert parsed[len(before)] == ImagePushed(PUSH)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["eventType", "eventTime", "topic", "id", "traceparent", "data"]), JSON)
def test_a_wrong_type_in_one_field_raises_nothing(key: str, value: Any) -> None:
    for event in (push_event(**{key: value}), secret_event(**{key: value}), push_event(data={"target": {key: value}})):
        parse_one(event)
    parse_one(push_event(data=push_data(**{key: value}) | {key: value}))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_text_raises(text: str) -> None:
    parse_events(text, "demo", RECEIVED)
